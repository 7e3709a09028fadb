"""Flow: lines of discrete events, from parts that arrive to parts that leave.

One model (`model.py`), several engines that must agree: exact chains for the small, a recurrence
for lines, a compiled event kernel for everything, and a plain event loop that can be read.
"""
