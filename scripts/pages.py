"""Write the pages of the documentation that follow from the code: ``make pages``.

docs/cli.md from the command line itself, docs/routing-file.md from config/schema.json. A test
writes them again and compares, so neither can drift.
"""

import enum
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, it imports the project beside it

from sidecar.cli import app  # noqa: E402
from sidecar.exitcode import MEANING  # noqa: E402

CLI_INTRO = """# Command line

`understudy COMMAND --help` says the same in the terminal. Written by `make pages` from the command
line itself.

- **Where it asks.** Commands about a running sidecar ask its admin port: `--admin`, or
  `UNDERSTUDY_ADMIN` in the environment.
- **Tokens** come from `UNDERSTUDY_TOKEN`, or from a file that only its owner and group may read
  (`--token-file`); never from an argument, which every user of the machine can see. For labels the
  variable is `UNDERSTUDY_LABEL_TOKEN`.
- **Colours** are for terminals. In a pipe there are none, and no row of a table is folded; nor are
  there any where `NO_COLOR` is set, or `TERM=dumb`.
- **Completion.** `understudy --install-completion` installs it for the shell that you use (bash,
  zsh, fish, PowerShell); `--show-completion` shows it. Routes are completed from the running
  sidecar.
"""
ROUTING_INTRO = """# The routing file

Every key, from `config/schema.json`; written by `make pages`. `config/routing.yaml` is the same as
one commented file. Durations are written `250ms`, `30s`, `12h`, `14d`; shares `5%`; sizes `64KiB`.
Unknown keys are errors, with file, line, column and the nearest known key: `understudy check FILE`.
For completion in an editor, point its YAML language server at the schema.
"""


def cli_page() -> str:
    """Return docs/cli.md."""
    lines = [CLI_INTRO, "## Exit codes\n", "| code | meaning |\n| --- | --- |"]
    lines += [f"| {int(code)} | {meaning} |" for code, meaning in MEANING.items()]
    root = typer.main.get_command(app)
    lines += _commands("understudy", root)
    return "\n".join(lines).rstrip() + "\n"


def _commands(path: str, group: Any) -> Iterator[str]:
    for name, command in group.commands.items():
        called = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from _commands(called, command)
            continue
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join([called, *(_metavar(one) for one in arguments)])
        yield f"\n## `{usage}`\n"
        yield "\n".join(line.strip() for line in (command.help or "").strip().splitlines())
        rows = [row for row in (_row(param) for param in command.params) if row]
        if rows:
            yield "\n| | meaning | default |\n| --- | --- | --- |"
            yield from rows


def _metavar(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _row(param: Any) -> str | None:
    if param.name in ("help", "install_completion", "show_completion"):
        return None
    if param.param_type_name == "argument":
        said = _metavar(param)
    else:
        said = max(param.opts, key=len)
        if not param.is_flag:
            said += f" {param.metavar or _choices(param)}"
    default = _default(param)
    return f"| `{said}` | {_cell(param.help or '')} | {default} |"


def _choices(param: Any) -> str:
    kind = type(param.default)
    return "/".join(str(one.value) for one in kind) if issubclass(kind, enum.Enum) else "VALUE"


def _default(param: Any) -> str:
    if param.required:
        return "required"
    value = param.default
    value = getattr(value, "value", value)
    return f"`{value}`" if isinstance(value, str | float | int) and value not in (False, "") else ""


def routing_page(schema: Mapping[str, Any]) -> str:
    """Return docs/routing-file.md."""
    lines = [ROUTING_INTRO, "## At the top\n", *_table(schema, schema["$defs"])]
    for name in _reached(schema):
        section = schema["$defs"][name]
        lines += [
            f"\n## {_title(name)}\n",
            f"{section.get('description', '')}\n",
            *_table(section, schema["$defs"]),
        ]
    return "\n".join(lines).rstrip() + "\n"


def _reached(schema: Mapping[str, Any]) -> list[str]:
    """Return the sections in the order in which a reader meets them."""
    found: list[str] = []
    waiting = list(_references(schema["properties"]))
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            waiting = [*_references(schema["$defs"][name].get("properties", {})), *waiting]
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rsplit("/", 1)[-1]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _about_reference(value: Mapping[str, Any], sections: Mapping[str, Any]) -> str:
    names = list(_references(value))
    return str(sections[names[0]].get("description", "")) if names else ""


def _table(section: Mapping[str, Any], sections: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | is | default | meaning |\n| --- | --- | --- | --- |"
    required = section.get("required", ())
    for key, value in section.get("properties", {}).items():
        default = "required" if key in required else _shown_default(value)
        about = _cell(value.get("description", "") or _about_reference(value, sections))
        yield f"| `{key}` | {_cell(_type(value))} | {default} | {about} |"


def _shown_default(value: Mapping[str, Any]) -> str:
    if "default" not in value or value["default"] is None:
        return "none"
    return f"`{json.dumps(value['default'], ensure_ascii=False)}`".replace("|", "\\|")


def _type(value: Mapping[str, Any]) -> str:
    """Return what a value may be, in words."""
    if "$ref" in value:
        name = str(value["$ref"]).rsplit("/", 1)[-1]
        return f"[{_title(name)}](#{_title(name).lower().replace(' ', '-')})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{word}`" for word in value["enum"])
    for union in ("anyOf", "oneOf"):
        if union in value:
            words = dict.fromkeys(_type(one) for one in value[union] if one.get("type") != "null")
            return " or ".join(words)
    kind = value.get("type")
    if kind == "array":
        items = value.get("items") or (value.get("prefixItems") or [{}])[0]
        return f"list of {_type(items)}"
    if kind == "object":
        more = value.get("additionalProperties")
        return f"names, each {_type(more)}" if isinstance(more, Mapping) else "object"
    return _scalar(value, kind)


def _scalar(value: Mapping[str, Any], kind: Any) -> str:
    pattern = str(value.get("pattern", ""))
    for sign, word in (("(ms|s|m|h|d)", "duration"), ("%$", "share"), ("iB", "size")):
        if sign in pattern:
            return word
    low, high = value.get("minimum"), value.get("maximum")
    if kind in ("integer", "number") and low is not None and high is not None:
        return f"{'whole number' if kind == 'integer' else 'number'}, {low} to {high}"
    words = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    return words.get(str(kind), "text" if kind == "string" else "value")


def _title(name: str) -> str:
    """Turn the name of a section into words: ListenTls, Listen tls."""
    bare = name.removesuffix("Section")
    words = "".join(f" {c.lower()}" if c.isupper() and at else c for at, c in enumerate(bare))
    return words


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def pages() -> dict[Path, str]:
    """Return each page with the text that it must have."""
    schema = json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8"))
    return {
        ROOT / "docs" / "cli.md": cli_page(),
        ROOT / "docs" / "routing-file.md": routing_page(schema),
    }


def main() -> int:
    """Write them; return the exit code."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
