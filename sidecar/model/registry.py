"""Keys of `registry:` and `reports:`: what model versions must show."""

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import (
    Expression,
    FilePath,
    Flag,
    HeaderName,
    HttpUrl,
    MetadataPath,
    default,
)


class Mlflow(Section):
    """The MLflow registry that is told where the versions that came from it stand."""

    url: HttpUrl = Field(
        description="The tracking server, such as http://mlflow:5000. Credentials come from the "
        "environment: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD."
    )


class Registry(Section):
    """What model versions must show before they are promoted."""

    required: Flag = default(
        "false",
        "Whether a challenger must be a registered version (`model:`) to get past its first stage.",
    )
    keys: FilePath | None = Field(
        default=None,
        description="PEM file of the Ed25519 public keys that may sign versions, relative to the "
        "routing file. With it unsigned and wrongly signed versions are refused.",
    )
    mlflow: Mlflow | None = Field(
        default=None, description="Tell an MLflow registry of transitions; off without it."
    )


class Reports(Section):
    """Where variants say which version they run; another one than registered is refused."""

    path: MetadataPath = Field(
        description="GET of this path must answer 200, such as /v2/models/{name}; {name} and "
        "{version} stand for those of the registered version."
    )
    version: Expression | None = Field(
        default=None, description="JMESPath to the version in the JSON answer: versions[0]."
    )
    digest: Expression | None = Field(
        default=None,
        description="JMESPath to the artifact's SHA-256 in the JSON answer, or that of its only "
        "file.",
    )
    version_header: HeaderName | None = Field(
        default=None, description="Header of the answer that holds the version."
    )
    digest_header: HeaderName | None = Field(
        default=None, description="Header of the answer that holds the digest: x-model-digest."
    )
