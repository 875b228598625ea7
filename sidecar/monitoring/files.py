"""Writes what is made from the metrics: ``python -m sidecar.monitoring.files``, or make deploy."""

import sys
from collections.abc import Mapping
from pathlib import Path

from sidecar.monitoring import dashboard, pages, rules

ROOT = Path(__file__).parents[2]


def files(root: Path) -> Mapping[Path, str]:
    """Return each file with the text that it must have."""
    operations = root / "docs" / "operations.md"
    return {
        root / "deploy" / "prometheus" / "rules.yaml": rules.render(),
        root / "deploy" / "grafana" / "understudy.json": dashboard.render(),
        root / "docs" / "metrics.md": pages.metrics_page(),
        operations: pages.with_alerts(operations.read_text(encoding="utf-8")),
    }


def main(root: Path = ROOT) -> int:
    """Write them; return the exit code."""
    for path, text in files(root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
