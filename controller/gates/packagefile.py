"""Which packages a requirements file or an SBOM lists."""

from dataclasses import dataclass
from pathlib import Path

from controller.gates import cyclonedx, foreignfile, requirement
from controller.gates.foreignfile import ForeignFileError
from controller.gates.package import PackageList


@dataclass(frozen=True, slots=True)
class PackageFile:
    """What was read."""

    kind: str
    """``requirements`` or ``cyclonedx``."""
    sha256: str
    listed: PackageList


def read(path: Path) -> PackageFile:
    """Return the packages of a file; ForeignFileError when it is neither kind."""
    raw = foreignfile.read(path)
    digest = foreignfile.sha256(raw)
    if raw.lstrip()[:1] in (b"{", b"["):
        document = foreignfile.as_json(raw, path.name)
        if not cyclonedx.is_cyclonedx(document):
            raise ForeignFileError(f"{path.name} is JSON, but no CycloneDX SBOM")
        try:
            return PackageFile("cyclonedx", digest, cyclonedx.packages(document))
        except ValueError as exc:
            raise ForeignFileError(f"{path.name}: {exc}") from exc
    if raw.lstrip()[:1] == b"<":
        raise ForeignFileError(f"{path.name} is XML: an SBOM is read in JSON")
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise ForeignFileError(f"{path.name} is no text") from exc
    return PackageFile("requirements", digest, requirement.parse(text))
