"""Why something is as it is: stable codes, each with a sentence for people, a next step and who must act.

The codes are public (API, log fields, messages); a code is never reused for another meaning.
"""

from dataclasses import dataclass
from enum import StrEnum


class Actor(StrEnum):
    """Who must act."""

    NOBODY = "nobody"
    DEVELOPER = "developer"
    OPERATOR = "operator"


class Reason(StrEnum):
    """Every code that a run, a stage or a delivery can carry."""

    # queued and running
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    # waiting
    BEHIND_RUN = "behind_run"
    AWAITING_APPROVAL = "awaiting_approval"
    ON_HOLD = "on_hold"
    SCAN_PENDING = "scan_pending"
    COMMIT_QUEUED = "commit_queued"
    SYNC_PENDING = "sync_pending"
    SYNC_WINDOW = "sync_window"
    MERGE_REQUIRED = "merge_required"
    SUSPENDED = "suspended"
    PRUNE_REQUIRED = "prune_required"
    NOT_AUTOMATED = "not_automated"
    SHARED_RESOURCE = "shared_resource"
    OUT_OF_SYNC = "out_of_sync"
    PROGRESSING = "progressing"
    CONFIRMING = "confirming"
    # good ends
    DONE = "done"
    HEALTHY = "healthy"
    REUSED = "reused"
    ALREADY_COMMITTED = "already_committed"
    NOT_CONFIGURED = "not_configured"
    NOT_REACHED = "not_reached"
    # ended by people or by other runs
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    OLDER_COMMIT = "older_commit"
    REWRITTEN = "rewritten"
    # bad ends, source and build
    CONFIG_INVALID = "config_invalid"
    APP_REMOVED = "app_removed"
    COMMIT_NOT_FOUND = "commit_not_found"
    SOURCE_REFUSED = "source_refused"
    SOURCE_UNAVAILABLE = "source_unavailable"
    SOURCE_UNSUPPORTED = "source_unsupported"
    DOCKERFILE_MISSING = "dockerfile_missing"
    SECRET_MISSING = "secret_missing"  # noqa: S105  # the name of a reason
    BUILD_FAILED = "build_failed"
    BUILD_TIMEOUT = "build_timeout"
    BASE_IMAGE_UNAVAILABLE = "base_image_unavailable"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    ENGINE_REFUSED = "engine_refused"
    # bad ends, registry
    REGISTRY_UNAUTHORIZED = "registry_unauthorized"
    REGISTRY_PROJECT_MISSING = "registry_project_missing"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    REGISTRY_QUOTA = "registry_quota"
    REGISTRY_READ_ONLY = "registry_read_only"
    REGISTRY_REFUSED = "registry_refused"
    TAG_IMMUTABLE = "tag_immutable"
    IMAGE_MISSING = "image_missing"
    IMAGE_BLOCKED = "image_blocked"
    SCAN_FAILED = "scan_failed"
    SCAN_UNAVAILABLE = "scan_unavailable"
    SCAN_FINDINGS = "scan_findings"
    # bad ends, GitOps repo
    VALUES_FILE_MISSING = "values_file_missing"
    VALUES_KEY_REFUSED = "values_key_refused"
    GITOPS_REFUSED = "gitops_refused"
    GITOPS_BRANCH_MISSING = "gitops_branch_missing"
    GITOPS_UNAVAILABLE = "gitops_unavailable"
    GITOPS_CONTENDED = "gitops_contended"
    GITOPS_MOVED = "gitops_moved"
    # bad ends, Argo CD
    ARGOCD_UNAUTHORIZED = "argocd_unauthorized"
    ARGOCD_FORBIDDEN = "argocd_forbidden"
    ARGOCD_UNAVAILABLE = "argocd_unavailable"
    ARGOCD_REFUSED = "argocd_refused"
    APPLICATION_MISSING = "application_missing"
    APPLICATION_MISMATCH = "application_mismatch"
    APPLICATION_DELETING = "application_deleting"
    APPLICATION_INVALID = "application_invalid"
    MANIFESTS_INVALID = "manifests_invalid"
    COMPARISON_FAILED = "comparison_failed"
    SYNC_FAILED = "sync_failed"
    IMAGE_NOT_DEPLOYED = "image_not_deployed"
    CHANGE_REVERTED = "change_reverted"
    DEGRADED = "degraded"
    TIMED_OUT = "timed_out"
    # notifications; a run never ends with these
    NOTIFY_REFUSED = "notify_refused"
    NOTIFY_UNAVAILABLE = "notify_unavailable"
    # ours
    LEASE_LOST = "lease_lost"
    STATE_UNWRITABLE = "state_unwritable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    DATABASE_REFUSED = "database_refused"
    DATABASE_DAMAGED = "database_damaged"
    DATABASE_OUTDATED = "database_outdated"
    DATABASE_NEWER = "database_newer"
    BROKER_UNAVAILABLE = "broker_unavailable"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    INTERNAL = "internal"
    NEWER_VERSION = "newer_version"


BY_OTHERS = frozenset({Reason.SUPERSEDED, Reason.OLDER_COMMIT, Reason.REWRITTEN})
"""They end a run without anything having gone wrong: a newer run, commit or history took its place."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means: one sentence, what to do next, and who must do it."""

    text: str
    next_step: str
    actor: Actor


def _nobody(text: str) -> Explanation:
    return Explanation(text, "Nothing to do.", Actor.NOBODY)


def _developer(text: str, next_step: str) -> Explanation:
    return Explanation(text, next_step, Actor.DEVELOPER)


def _operator(text: str, next_step: str) -> Explanation:
    return Explanation(text, next_step, Actor.OPERATOR)


R = Reason
CATALOGUE: dict[Reason, Explanation] = {
    R.QUEUED: _nobody("Waiting for a free worker."),
    R.RUNNING: _nobody("A worker is on it."),
    R.RETRYING: _nobody("The last try came to nothing; there is another one after a pause."),
    R.BEHIND_RUN: _nobody("Another run goes first."),
    R.AWAITING_APPROVAL: _developer("The run waits for approval.", "Approve it with `pilotage run approve RUN`."),
    R.ON_HOLD: _operator("The environment is on hold.", "Release it with `pilotage app release APP ENVIRONMENT`."),
    R.SCAN_PENDING: _nobody("Harbor has not finished scanning the image."),
    R.COMMIT_QUEUED: _nobody("The change waits for the writer of its GitOps branch."),
    R.SYNC_PENDING: _nobody("Argo CD has not yet applied the GitOps commit."),
    R.SYNC_WINDOW: _operator(
        "A sync window of the Argo CD project blocks the sync.",
        "Wait until it lets syncs through, or change it in the project; re-run what ended meanwhile.",
    ),
    R.MERGE_REQUIRED: _developer(
        "Argo CD's source hydrator has made a commit of the change, and nobody has merged it yet.",
        "Merge it into the branch that the application syncs; `sync_timeout` says how long a run waits for that.",
    ),
    R.SUSPENDED: _developer(
        "A resource of the application is suspended: a rollout or deployment is paused, or a CronJob.",
        "Resume it, or abort the rollout. What is to stay suspended needs the annotation"
        ' `argocd.argoproj.io/ignore-healthcheck: "true"`.',
    ),
    R.PRUNE_REQUIRED: _operator(
        "The sync succeeded but resources that are no longer in Git were not pruned.",
        "Prune them in Argo CD or turn on automated pruning.",
    ),
    R.NOT_AUTOMATED: _operator(
        "The application has no automated sync and nobody has synced it.",
        "Turn on automated sync, or set `sync: true` for the environment.",
    ),
    R.SHARED_RESOURCE: _operator(
        "Another application manages one of the same resources, so the state flips back and forth.",
        "Let only one application own the resource.",
    ),
    R.OUT_OF_SYNC: _operator(
        "Argo CD applied the commit, but resources in the cluster still differ from Git.",
        "Look at the diff in Argo CD: correct the manifests, or ignore what the cluster itself sets.",
    ),
    R.PROGRESSING: _nobody("Argo CD applied the commit; the resources are not ready yet."),
    R.CONFIRMING: _nobody("All looks healthy; a second look has to agree."),
    R.DONE: _nobody("The stage reached its aim."),
    R.HEALTHY: _nobody("The commit is live and healthy."),
    R.REUSED: _nobody("The result was already there and was proven again."),
    R.ALREADY_COMMITTED: _nobody("The values file already holds this value."),
    R.NOT_CONFIGURED: _nobody("The stage is not asked for by the configuration."),
    R.NOT_REACHED: _nobody("The run ended before this stage."),
    R.CANCELLED: _nobody("A person cancelled the run."),
    R.SUPERSEDED: _nobody("A newer run took its place."),
    R.OLDER_COMMIT: _nobody("A newer commit is already deployed; an older one never replaces it."),
    R.REWRITTEN: _nobody(
        "The branch does not hold the commit: it was rewritten after this push, or this was no push to it."
    ),
    R.CONFIG_INVALID: _operator("The configuration is not valid.", "Run `pilotage config check`."),
    R.APP_REMOVED: _operator(
        "The app or environment is not in the configuration of the workers.",
        "Restore it, or start a new run when all workers have it.",
    ),
    R.COMMIT_NOT_FOUND: _developer(
        "The source repository does not have this commit, branch or tag.",
        "Push it, or start a run for another one; a commit is named by its full id.",
    ),
    R.SOURCE_REFUSED: _operator(
        "The source repository refused our access.",
        "Check the app's `repo`, its `token` or `ssh_key`, and the rights of that account.",
    ),
    R.SOURCE_UNAVAILABLE: _operator("The source repository did not answer.", "Check the address and the forge."),
    R.SOURCE_UNSUPPORTED: _developer(
        "The source needs something that the build cannot give it.",
        "See the evidence for the file in question.",
    ),
    R.DOCKERFILE_MISSING: _developer(
        "The Dockerfile is not in the commit at the configured path.", "Add it or correct `build.dockerfile`."
    ),
    R.SECRET_MISSING: _operator(
        "The build needs a secret that the app does not have.",
        "Add it to the app's `build.secrets`, or correct its id in the Dockerfile.",
    ),
    R.BUILD_FAILED: _developer("The image build failed.", "Read the end of the build log."),
    R.BUILD_TIMEOUT: _developer("The build took longer than it may.", "Make it faster or raise `build.timeout`."),
    R.BASE_IMAGE_UNAVAILABLE: _developer(
        "A base image of the Dockerfile cannot be pulled.", "Check its name and the registry login."
    ),
    R.ENGINE_UNAVAILABLE: _operator(
        "The Docker engine did not answer.", "Start or restart it, or check `docker.host` or `DOCKER_HOST`."
    ),
    R.ENGINE_REFUSED: _operator("The Docker engine refused the request.", "Read the evidence."),
    R.REGISTRY_UNAUTHORIZED: _operator(
        "The registry does not let our account do this.",
        "Check `registry.username` and `registry.password` and the robot's push permission.",
    ),
    R.REGISTRY_PROJECT_MISSING: _operator(
        "The registry has no such project.", "Create the project in Harbor or correct `image`."
    ),
    R.REGISTRY_UNAVAILABLE: _operator("The registry did not answer.", "Check that it is up and reachable."),
    R.REGISTRY_QUOTA: _operator("The project's storage quota is used up.", "Raise the quota or delete old images."),
    R.REGISTRY_READ_ONLY: _operator("The registry is read-only.", "Turn read-only mode off in Harbor."),
    R.REGISTRY_REFUSED: _operator("The registry refused the image.", "Read the evidence."),
    R.TAG_IMMUTABLE: _developer(
        "The tag is immutable and holds another image.", "Push a new commit, or delete the tag in Harbor."
    ),
    R.IMAGE_MISSING: _operator(
        "The image is not in the registry (any more).",
        "Check the tag or digest against those in the registry. What Pilotage built itself, a re-run from `build`"
        " makes again; look at the retention rules then.",
    ),
    R.IMAGE_BLOCKED: _operator(
        "The registry blocks pulls of this image by policy.", "Look at the project's vulnerability policy."
    ),
    R.SCAN_FAILED: _operator("Harbor could not scan the image.", "Read the scan log in Harbor and re-run."),
    R.SCAN_UNAVAILABLE: _operator(
        "The image was not scanned, which is not the same as clean.",
        "Install or enable a scanner in Harbor, and let the robot account start scans (`scan: create`).",
    ),
    R.SCAN_FINDINGS: _developer(
        "The scan found vulnerabilities at or above the gate.", "Update the packages named in Harbor's report."
    ),
    R.VALUES_FILE_MISSING: _operator(
        "The values file is not in the GitOps repo.", "Correct `values` or add the file."
    ),
    R.VALUES_KEY_REFUSED: _operator(
        "The key in the values file cannot be edited safely.",
        "Correct `key` (`digest_key`, `repository_key`) where it names that key, or the file at the line named.",
    ),
    R.GITOPS_REFUSED: _operator(
        "The GitOps repository refused our access or our push.",
        "Check `gitops.repo` and `gitops.branch`, `gitops.token` (or that `gitops.ssh_key` has write access),"
        " and branch protection for our account.",
    ),
    R.GITOPS_BRANCH_MISSING: _operator(
        "The GitOps repository does not have the branch.",
        "Create or restore the branch, or correct `gitops.branch`; then re-run.",
    ),
    R.GITOPS_UNAVAILABLE: _operator("The GitOps repository did not answer.", "Check the address and the forge."),
    R.GITOPS_CONTENDED: _operator(
        "Other writers won every race for the GitOps branch.", "Re-run; look for a tool that pushes all the time."
    ),
    R.GITOPS_MOVED: _operator(
        "The GitOps repository or branch was changed in the configuration while the change was being committed.",
        "Look for the commit in the old branch, then re-run.",
    ),
    R.ARGOCD_UNAUTHORIZED: _operator("Argo CD does not accept our token.", "Renew `argocd.token`."),
    R.ARGOCD_FORBIDDEN: _operator(
        "Argo CD does not let our account see or refresh the application.",
        "Grant `applications, get` to the account, and `applications, sync` for environments with `sync: true`.",
    ),
    R.ARGOCD_UNAVAILABLE: _operator("Argo CD did not answer.", "Check that its API server is up and reachable."),
    R.ARGOCD_REFUSED: _operator("Argo CD refused the request.", "Read the evidence."),
    R.APPLICATION_MISSING: _operator("Argo CD has no such application.", "Create it or correct `argocd`."),
    R.APPLICATION_MISMATCH: _operator(
        "The Argo CD application does not read this repo and branch.",
        "Correct `argocd`, `gitops` or its source.",
    ),
    R.APPLICATION_DELETING: _operator("The application is being deleted.", "Wait, or create it again."),
    R.APPLICATION_INVALID: _operator("The application's spec is invalid.", "Correct it; the evidence names why."),
    R.MANIFESTS_INVALID: _developer("The chart does not render.", "Correct the chart or its values."),
    R.COMPARISON_FAILED: _operator(
        "Argo CD could not compare Git with the cluster.",
        "Check its way to what the evidence names, and its credentials there; then re-run.",
    ),
    R.SYNC_FAILED: _developer("Argo CD could not apply the commit.", "Read the evidence, correct and push."),
    R.IMAGE_NOT_DEPLOYED: _operator(
        "Argo CD is synced and healthy, but no pod runs our image.",
        "Check that the application renders the values file and key that Pilotage edits.",
    ),
    R.CHANGE_REVERTED: _developer(
        "Somebody changed the value again, or moved it, before Argo CD applied it.",
        "Look at the later commits of the file.",
    ),
    R.DEGRADED: _developer(
        "The application is unhealthy with this commit.",
        "Read the evidence, correct and push; or go back, if anything was proven there before, with"
        " `pilotage app rollback APP ENVIRONMENT`.",
    ),
    R.TIMED_OUT: _developer(
        "The stage did not reach its aim before its deadline.", "Read the cause, or the last state, in the evidence."
    ),
    R.NOTIFY_REFUSED: _operator(
        "The channel refuses our messages.", "Check the address, the token and the channel under `notify`."
    ),
    R.NOTIFY_UNAVAILABLE: _operator(
        "The channel did not answer.", "Check that its address is up; what waits is sent then."
    ),
    R.LEASE_LOST: _nobody("Another worker took over."),
    R.STATE_UNWRITABLE: _operator(
        "Pilotage cannot write to its own disk.",
        "Make room there (or raise the quota, or have it writable again); re-run what ended meanwhile.",
    ),
    R.DATABASE_UNAVAILABLE: _operator("The database did not answer.", "Start it or check `server.database`."),
    R.DATABASE_REFUSED: _operator(
        "The database does not let Pilotage do that.", "Make the account of `server.database` the database's owner."
    ),
    R.DATABASE_DAMAGED: _operator(
        "The file of the database is damaged.", "Stop Pilotage, look at the disk, and restore the last backup."
    ),
    R.DATABASE_OUTDATED: _operator("The database has another version's schema.", "Run `pilotage migrate`."),
    R.DATABASE_NEWER: _operator(
        "A newer version of Pilotage has changed the database.",
        "Install that version again, or restore the backup of before.",
    ),
    R.BROKER_UNAVAILABLE: _operator("The broker did not answer.", "Start Redis or check `server.broker`."),
    R.ATTEMPTS_EXHAUSTED: _operator("Every attempt failed.", "Read the evidence; re-run when it is mended."),
    R.INTERNAL: _operator("Pilotage made a mistake.", "Report it with the log lines of this run."),
    R.NEWER_VERSION: _operator(
        "Another version of Pilotage has written down why.", "Bring all its processes to the newest version."
    ),
}


def explain(reason: Reason) -> Explanation:
    """Return the sentence, next step and actor of a reason."""
    return CATALOGUE[reason]
