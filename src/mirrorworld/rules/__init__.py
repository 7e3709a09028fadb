"""Rules: expressions over points, what is derived from them, and the alarms they raise.

Knows the kernel and units; refuses to know where rules are edited and who is told of an alarm.
"""
