"""Files that Git LFS keeps: a build gets their content, proven, from a server as strict as those of real forges."""

import io
import shutil
import tarfile
import threading
from pathlib import Path

import pytest

from orchestrator.sandbox.forge_git import run_git
from tests.support.lfs import LOGO, REPO, RULES, LfsSite
from tests.support.tars import contents
from workers.clients.build_context import left_out
from workers.clients.git import Mirror, mirror_folder
from workers.clients.git_submodules import snapshot_with_submodules

MEDIA_TYPE = "application/vnd.git-lfs+json"


def test_a_build_gets_the_content_of_a_pointer(site: LfsSite) -> None:
    site.commit(logo=LOGO, icon=b"i")
    found = contents(site.tar())
    assert (found["logo.png"], found["icon.png"], found["small.txt"]) == (LOGO, b"i", b"version 2\n")
    assert site.lines == ["fetching 2 Git LFS objects, 512 kB"]


def test_what_is_asked_is_what_the_documents_of_git_lfs_say(site: LfsSite) -> None:
    ids = site.commit(logo=LOGO)
    site.tar()
    batch, download = site.forge.lfs.arrived
    assert batch.path == f"/{REPO}.git/info/lfs/objects/batch"
    assert (batch.headers["accept"], batch.headers["content-type"]) == (MEDIA_TYPE, MEDIA_TYPE)
    assert batch.json() == {
        "operation": "download",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": ids["logo"], "size": len(LOGO)}],
    }
    assert download.headers["authorization"].startswith("RemoteAuth ")


def test_the_next_build_downloads_nothing_and_its_stream_is_the_same(site: LfsSite) -> None:
    site.commit(logo=LOGO)
    first = site.tar()
    assert site.tar() == first
    assert site.asked() == ["batch", site.commit(logo=LOGO, more=b"m")["logo"][:6]]
    site.tar()
    assert site.lines[1:] == [
        "1 Git LFS object is here already",
        "fetching 1 Git LFS object, 1 byte; 1 more is here already",
    ]


def test_a_stream_has_the_same_bytes_from_any_machine(site: LfsSite, tmp_path: Path) -> None:
    site.commit(logo=LOGO)
    other = Mirror(site.access(), mirror_folder(tmp_path / "other", site.forge.clone_url(REPO)))
    assert site.tar() == site.tar(other)


def test_an_executable_pointer_is_an_executable_file(site: LfsSite, tmp_path: Path) -> None:
    site.commit(logo=LOGO)
    clone = tmp_path / "clone"
    run_git(["clone", "-q", str(tmp_path / "forge" / f"{REPO}.git"), str(clone)])
    run_git(["-C", str(clone), "update-index", "--chmod=+x", "logo.png"])
    run_git(["-C", str(clone), "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "-m", "x"])
    run_git(["-C", str(clone), "push", "-q", "origin", "HEAD:main"])
    with tarfile.open(fileobj=io.BytesIO(site.tar())) as tar:
        member = tar.getmember("logo.png")
    assert (oct(member.mode), member.size, member.uid) == ("0o755", len(LOGO), 0)


def test_a_submodule_has_its_contents_from_its_own_repository(site: LfsSite, tmp_path: Path) -> None:
    site.commit(logo=LOGO)
    site.forge.create_repo("acme/lib")
    pointer = site.forge.lfs.put("acme/lib", b"icon")
    pin = site.forge.commit("acme/lib", "main", {".gitattributes": RULES, "icon.png": pointer}, "Add an icon")
    clone = tmp_path / "clone"
    run_git(["clone", "-q", str(tmp_path / "forge" / f"{REPO}.git"), str(clone)])
    (clone / ".gitmodules").write_text('[submodule "lib"]\n\tpath = lib\n\turl = ../lib.git\n')
    run_git(["-C", str(clone), "add", ".gitmodules"])
    run_git(["-C", str(clone), "update-index", "--add", "--cacheinfo", f"160000,{pin},lib"])
    run_git(["-C", str(clone), "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-q", "-m", "x"])
    run_git(["-C", str(clone), "push", "-q", "origin", "HEAD:main"])
    head = site.mirror.fetch_branch("main")
    with snapshot_with_submodules(site.mirror, head, log=site.lines.append) as files:
        found = contents(files.tar(left_out(None, "Dockerfile")).read())
    assert (found["logo.png"], found["lib/icon.png"]) == (LOGO, b"icon")
    assert [one.path for one in site.forge.lfs.arrived if one.path.endswith("/batch")] == [
        f"/{repo}.git/info/lfs/objects/batch" for repo in (REPO, "acme/lib")
    ]


def test_what_dockerignore_leaves_out_is_not_fetched(site: LfsSite) -> None:
    ids = site.commit(logo=LOGO, draft=b"draft")
    found = contents(site.tar(leave_out=lambda path: path == "draft.png"))
    assert "draft.png" not in found
    assert site.asked() == ["batch", ids["logo"][:6]]


def test_files_with_the_same_content_are_fetched_once(site: LfsSite) -> None:
    ids = site.commit(logo=LOGO, copy=LOGO)
    found = contents(site.tar())
    assert found["logo.png"] == found["copy.png"] == LOGO
    assert site.asked() == ["batch", ids["logo"][:6]]


def test_hundreds_of_files_are_asked_for_a_hundred_at_a_time(site: LfsSite) -> None:
    pictures = {f"p{number}": str(number).encode() for number in range(230)}
    site.commit(**pictures)
    found = contents(site.tar())
    assert {name: found[f"{name}.png"] for name in pictures} == pictures
    assert [len(one.json()["objects"]) for one in site.forge.lfs.arrived if one.body] == [100, 100, 30]


@pytest.mark.parametrize("redirects", [False, True])
def test_our_login_does_not_go_to_the_store_that_the_forge_names(site: LfsSite, redirects: bool) -> None:
    store = site.forge.keep_lfs_elsewhere(redirects=redirects)
    site.commit(logo=LOGO)
    assert contents(site.tar())["logo.png"] == LOGO
    last = site.forge.lfs.arrived[-1]
    assert (last.path.startswith("/store/"), last.headers["host"]) == (True, store.removeprefix("http://"))
    assert not {"authorization", "cookie"} & last.headers.keys()


def test_two_builds_at_once_fetch_into_one_store(site: LfsSite) -> None:
    site.commit(**{f"p{number}": bytes([number]) * 100_000 for number in range(12)})
    site.mirror.fetch_branch("main")
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(site.tar())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    assert results[0] == results[1]
    assert site.unfinished() == []


def test_kept_contents_are_tidied_with_the_mirror_and_outlive_its_damage(site: LfsSite) -> None:
    site.commit(logo=LOGO)
    site.tar()
    mirror = site.mirror
    assert mirror.needs_tidying()
    assert not mirror.tidy(), "nothing to pack"
    assert not mirror.needs_tidying()
    shutil.rmtree(mirror.folder)
    site.tar()
    assert site.lines[-1] == "1 Git LFS object is here already"
