"""A contract for import-linter: which foreign packages a package of ours may import.

import-linter's own `forbidden` contract needs a list of everything that is not
allowed. This one lists what is allowed, so a new dependency is refused until
somebody decides otherwise.
"""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowedExternals(Contract):
    """`package` may import the standard library and `allowed`, nothing else from outside.

    `forbidden_standard` takes modules out of the standard library again (a kernel
    without sockets and clocks). `extra` lines read `module -> foreign package`
    and widen the rule for one module. Nothing from our own distribution outside
    `package` is allowed either, unless listed in `own`.
    """

    type_name = "allowed_externals"

    package = fields.StringField()
    allowed = fields.ListField(subfield=fields.StringField(), required=False)
    extra = fields.ListField(subfield=fields.StringField(), required=False)
    forbidden_standard = fields.ListField(subfield=fields.StringField(), required=False)
    own = fields.ListField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every direct import that leaves the package."""
        package: str = self.package  # type: ignore[assignment]
        allowed = set(self.allowed or ())  # type: ignore[arg-type]
        own = set(self.own or ())  # type: ignore[arg-type]
        forbidden = set(self.forbidden_standard or ())  # type: ignore[arg-type]
        extra: dict[str, set[str]] = {}
        for line in self.extra or ():  # type: ignore[attr-defined]
            module, foreign = (part.strip() for part in line.split("->"))
            extra.setdefault(module, set()).add(foreign)
        root = package.partition(".")[0]
        wrong: list[str] = []
        for module in sorted({package} | graph.find_descendants(package)):
            for target in sorted(graph.find_modules_directly_imported_by(module)):
                top = target.partition(".")[0]
                if top == root:
                    permitted = (
                        target == package or target.startswith(f"{package}.") or target in own
                    )
                elif top in sys.stdlib_module_names:
                    permitted = target not in forbidden and top not in forbidden
                else:
                    permitted = top in allowed or top in extra.get(module, set())
                if not permitted:
                    details = graph.get_import_details(importer=module, imported=target)
                    wrong.extend(
                        f"{module} imports {target} (line {detail['line_number']})"
                        for detail in details
                    )
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that is not allowed."""
        for line in check.metadata["wrong"]:
            output.print_error(f"  {line}")
        output.new_line()
