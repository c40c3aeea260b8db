"""How the readers of values files take a scalar without quotes: YAML 1.1 (PyYAML), YAML 1.2, Go's yaml (Helm)."""

import re

import yaml

_CORE_1_2 = re.compile(
    r"null|Null|NULL|~||true|True|TRUE|false|False|FALSE"
    r"|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
)
_GO = re.compile(
    r"(?i)y|n|yes|no|on|off|true|false|null|~|[-+]?[0-9][0-9_]*(\.[0-9_]*)?(e[-+]?[0-9]+)?|[-+]?\.[0-9_]+(e[-+]?[0-9]+)?"
    r"|0x[0-9a-f_]+|0b[01_]+|0o?[0-7_]+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|[0-9]+(:[0-9]{1,2})+"
)


def reads_as_text(written: str) -> bool:
    """Tell whether all readers take a scalar, as it is written in the file, for a text."""
    if written[:1] in "\"'" and written:
        return True
    node = yaml.compose(f"v: {written}\n", Loader=yaml.SafeLoader)
    tag = node.value[0][1].tag  # type: ignore[union-attr]
    return tag.endswith(":str") and not _CORE_1_2.fullmatch(written) and not _GO.fullmatch(written)
