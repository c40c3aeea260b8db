"""The part of ``pilotage.yaml`` that describes one app: its source, its build and where it runs."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from orchestrator.config import types as t
from orchestrator.config.base import FORMER_NAMES, ConfigModel, GitKeys, described

Severity = Literal["negligible", "low", "medium", "high", "critical"]
Seconds = Annotated[float, t.Duration(10, 86400)]
Grace = Annotated[float, t.Duration(0, 3600)]
ArgName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Build(ConfigModel):
    """How the image is made from a commit."""

    context: t.RepoFolder = described(
        "Folder of the source repository that is the build context.", default=".", example="services/web"
    )
    dockerfile: t.RepoFile = described("Path of the Dockerfile inside the context.", default="Dockerfile")
    target: t.Maybe = described("Stage of a multi-stage Dockerfile.", default="", example="runtime")
    args: dict[ArgName, str] = described(
        "Build arguments. They are kept in the image's history: never put secrets here.",
        default={},
        example={"VERSION": "1"},
    )
    secrets: dict[t.SecretId, t.BuildSecret] = described(
        "Secrets that steps may mount, by the id in `RUN --mount=type=secret,id=...`. They are in no layer, in no"
        " history and in no cache. With `builder: buildkit` only.",
        default={},
        example={"npm_token": "${NPM_TOKEN}"},
    )
    platform: t.Maybe = described("Platform of the image.", default="", example="linux/amd64")
    network: t.Maybe = described("Network mode of the RUN steps.", default="", example="none")
    builder: Literal["buildkit", "classic"] = described("Which of the engine's builders is used.", default="buildkit")
    paths: list[t.Text] = described(
        "Shell patterns of changed files that matter, from the root of the repository; a push that changes none of"
        " them starts no run. `*` and `?` match slashes, too; `**/` stands for any number of folders or none, a `/`"
        " at the end for all that is in the folder. Default: all.",
        default=[],
        example=["web/**", "**/*.go"],
    )
    timeout: Seconds = described("Time for the whole build.", default=1800.0, example="45m")
    pull: bool = described("Look for newer base images at every build.", default=False)
    submodules: bool = described(
        "Fetch the Git submodules in the build context, from the server of `repo` and with the app's credentials."
        " Without it a submodule in the context is refused.",
        default=False,
    )


class Scan(ConfigModel):
    """The vulnerability gate."""

    fail_on: Severity | None = described(
        "Fail at this severity of Harbor's scan or above. Without it runs do not wait for the scan, unless the"
        " project in Harbor prevents vulnerable images from running.",
        default=None,
        example="high",
    )
    timeout: Seconds = described("Time for the scan.", default=600.0, example="10m")


class Environment(ConfigModel):
    """Where an app runs."""

    name: t.Name = described("Name, unique in the app.", example="stg")
    former_names: list[t.Name] = described(FORMER_NAMES.format(it="environment"), default=[], example=["staging"])
    values: t.RepoFile = described(
        "Path of the values file in the GitOps repository.", example="charts/applications/plate-web/values-stg.yaml"
    )
    argocd: t.Text = described("Name of the Argo CD application.", example="plate-web-stg")
    branch: t.RefRule | None = described(
        "Branch whose pushes deploy here, by name or by pattern.", default=None, example="main"
    )
    tag: t.RefRule | None = described(
        "Tag whose pushes deploy here, by name or by pattern.", default=None, example="v*"
    )
    promote_from: t.Name | None = described(
        "Environment of the same app whose proven image is promoted here, unless somebody went back to it there.",
        default=None,
        example="stg",
    )
    approval: Literal["required", "none"] = described(
        "With `required`, a person must approve each run that a push, `promote_from` or `run start` made. A"
        " person's `app promote` or `app rollback`, and the re-run of an approved run, do not wait.",
        default="none",
    )
    key: t.KeyPath = described(
        "Path of the value that names the image's tag.", default="image.tag", example="web.image.tag"
    )
    value: Literal["tag", "image", "digest"] = described(
        "What is written there: the tag, the whole image (`host/path:tag`) or the digest. With `tag`, an image that"
        " is named by its digest cannot be deployed.",
        default="tag",
    )
    digest_key: t.KeyPath | None = described(
        "Path of a value that is set to the digest as well.", default=None, example="image.digest"
    )
    repository_key: t.KeyPath | None = described(
        "Path of a value that is set to the image's repository as well.", default=None, example="image.repository"
    )
    project: t.Maybe = described(
        "Argo CD project of the application, where names repeat.", default="", example="plate"
    )
    app_namespace: t.Maybe = described(
        "Namespace of the application, if not Argo CD's own.", default="", example="team-plate"
    )
    sync: bool = described("Ask Argo CD to sync, for applications without automated sync.", default=False)
    sync_timeout: Seconds = described(
        "Time from the commit until Argo CD has applied it. With sync waves or `PostSync` hooks Argo CD waits for"
        " health in there: larger than `progressDeadlineSeconds` (600 by default) then.",
        default=900.0,
        example="15m",
    )
    health_timeout: Seconds = described(
        "Time from the sync until the application is healthy. Larger than the deployment's"
        " `progressDeadlineSeconds` (600 by default), so that Kubernetes' own verdict comes first.",
        default=900.0,
        example="15m",
    )
    degraded_grace: Grace = described(
        "How long `Degraded` must last to count as failed.", default=60.0, example="60s"
    )
    rollback: Literal["auto", "none"] = described(
        "With `auto`, a deploy with which the application is degraded is taken back: the image that was proven here"
        " before is committed again, and the environment is held until somebody releases it.",
        default="none",
    )


class App(GitKeys):
    """One deployable service."""

    name: t.Name = described("Name, unique in the file.", example="plate-web")
    former_names: list[t.Name] = described(FORMER_NAMES.format(it="app"), default=[], example=["web"])
    repo: t.RepoUrl = described(
        "Address of the source repository, without credentials.", example="https://git.example.com/acme/plate-web.git"
    )
    image: t.ImagePath = described("Image in the registry, without host and tag.", example="plate/plate-web")
    aliases: list[t.RepoUrl] = described(
        "Other addresses under which forges name the same repository.",
        default=[],
        example=["git@git.example.com:acme/plate-web.git"],
    )
    build: Build = described("How the image is made.", default=Build)
    scan: Scan = described("The vulnerability gate.", default=Scan)
    environments: Annotated[list[Environment], Field(min_length=1)] = described("Where the app runs.")
