"""Which files a command works on, and where their results belong."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from safelight.entrypoints.cli.files import Picture, check_out, in_folder, pictures
from safelight.entrypoints.cli.terminal import UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that we are in, with photos of two people, some of the same names."""
    for name in (
        "anna/a.jpg",
        "anna/2024/b.PNG",
        "anna/.hidden.jpg",
        "anna/notes.txt",
        "ben/a.jpg",
        "ben/2024/b.png",
        "out/old.jpg",
        "one.webp",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*paths: str, out: str = "out") -> list[tuple[str, str]]:
    taken = pictures([Path(path) for path in paths], Path(out)).pictures
    return [(str(path), str(below)) for path, below in taken]


def left_out(*paths: str, out: str = "out") -> list[str]:
    return pictures([Path(path) for path in paths], Path(out)).left_out


@pytest.mark.usefixtures("home")
class TestPictures:
    def test_a_folder_alone_is_the_top_of_what_comes_out(self) -> None:
        assert found("anna") == [("anna/2024/b.PNG", "2024"), ("anna/a.jpg", ".")]

    def test_several_folders_are_told_apart_by_their_names(self) -> None:
        assert found("anna", "ben/", "one.webp") == [
            ("anna/2024/b.PNG", "anna/2024"),
            ("anna/a.jpg", "anna"),
            ("ben/2024/b.png", "ben/2024"),
            ("ben/a.jpg", "ben"),
            ("one.webp", "."),
        ]

    def test_a_folder_without_a_name_has_one(self, home: Path) -> None:
        os.chdir(home / "ben")
        assert found(".", "../anna") == [
            ("2024/b.png", "ben/2024"),
            ("a.jpg", "ben"),
            ("../anna/2024/b.PNG", "anna/2024"),
            ("../anna/a.jpg", "anna"),
        ]

    def test_a_folder_beside_files_is_still_alone(self) -> None:
        assert found("one.webp", "ben", "ben") == [
            ("one.webp", "."),
            ("ben/2024/b.png", "2024"),
            ("ben/a.jpg", "."),
        ]

    def test_folders_of_the_same_name_are_told_apart_by_more_of_their_paths(self) -> None:
        assert found("anna/2024", "ben/2024") == [
            ("anna/2024/b.PNG", "anna/2024"),
            ("ben/2024/b.png", "ben/2024"),
        ]

    def test_what_was_made_is_not_made_again_and_nothing_is_taken_twice(self) -> None:
        taken = found(".", "anna")
        assert [path for path, _ in taken] == [
            "anna/2024/b.PNG",
            "anna/a.jpg",
            "ben/2024/b.png",
            "ben/a.jpg",
            "one.webp",
        ]

    def test_any_file_is_taken_that_was_named(self) -> None:
        assert found("anna/notes.txt", "anna/.hidden.jpg") == [
            ("anna/notes.txt", "."),
            ("anna/.hidden.jpg", "."),
        ]

    def test_what_is_left_out_is_named(self, home: Path) -> None:
        assert left_out("one.webp", "ben") == []
        told = "Left out, as no pictures by their names: "
        assert left_out("anna") == [f"{told}anna/notes.txt."]
        assert left_out("anna", "anna/notes.txt") == []
        for name in ("anna/2024/a.psd", "anna/z.mov", "anna/2024/.hidden", "anna/made/m.txt"):
            (home / name).parent.mkdir(exist_ok=True)
            (home / name).touch()
        assert left_out("anna", out="anna/made") == [f"{told}anna/2024/a.psd, anna/notes.txt and 1 more."]

    def test_links_that_are_left_out_are_told_as_what_they_are(self, home: Path) -> None:
        """Those to files are taken as the files; hidden ones are passed over."""
        for name, target in (
            ("gone.jpg", "nowhere.jpg"),
            ("gone.txt", "nowhere.jpg"),
            ("round.png", "round.png"),
            (".#a.jpg", "somebody@here"),
            ("latest", "2024"),
            ("hers.webp", "../one.webp"),
        ):
            (home / "anna" / name).symlink_to(target)
        assert found("anna")[-1] == ("anna/hers.webp", ".")
        nowhere = "Left out, as links that lead nowhere: anna/gone.jpg, anna/gone.txt and 1 more."
        assert left_out("anna", "anna/notes.txt") == [nowhere, "Left out, as links to folders: anna/latest."]
        assert left_out("anna", "anna/latest", "anna/notes.txt") == [nowhere]
        assert in_folder(Path("anna"), Path("out")).left_out[1] == nowhere

    def test_each_folder_is_walked_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        walked: list[str] = []
        iterdir = Path.iterdir

        def counted(path: Path) -> Iterator[Path]:
            walked.append(str(path))
            return iterdir(path)

        monkeypatch.setattr(Path, "iterdir", counted)
        assert left_out("anna", "ben")
        assert walked == ["anna", "anna/2024", "ben", "ben/2024"]

    @pytest.mark.parametrize(
        ("paths", "message"),
        [
            (["nowhere.jpg", "anna"], r"There is no file nowhere\.jpg"),
            (["https:/example.org/a.jpg"], r"https://example\.org/a\.jpg is a URL"),
        ],
    )
    def test_what_is_not_there(self, paths: list[str], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            found(*paths)

    def test_a_folder_without_pictures(self, home: Path) -> None:
        (home / "empty").mkdir()
        with pytest.raises(UsageError, match=r"There is no image in empty; these are taken: .+ \.webp\.$"):
            found("empty")
        (home / "empty" / "a.jpg").symlink_to("nowhere")
        with pytest.raises(UsageError, match=r"Left out, as links that lead nowhere: empty/a\.jpg\.$"):
            found("empty")


def test_a_watched_folder_may_be_empty(home: Path) -> None:
    """Its pictures are those that lie in it now."""
    (home / "new").mkdir()
    assert in_folder(Path("new"), Path("out")) == ([], [])
    (home / "new/a.jpg").touch()
    assert in_folder(Path("new"), Path("out")).pictures == [Picture(Path("new/a.jpg"), Path())]


class TestOutput:
    """Where results go is looked at before there are any."""

    def test_a_folder_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        check_out(tmp_path / "a" / "b")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(
        not Path("/sys/kernel").is_dir(), reason="needs a place where not even root may write"
    )
    def test_not_all_that_forbids_is_a_permission(self) -> None:
        with pytest.raises(UsageError, match=r"--out /sys/kernel/out can not be written: .+\.$"):
            check_out(Path("/sys/kernel/out"))

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        with pytest.raises(UsageError, match="a is a file, not a folder"):
            check_out(tmp_path / "a" / "b")
