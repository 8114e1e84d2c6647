"""The SDK against a real service."""

from __future__ import annotations

import json

import pytest

from nabla.client.snapshots import Snapshots
from nabla.errors import BadInput, Conflict, NotFound, TooLarge
from nabla.packing import Limits


def test_a_project_is_made_changed_found_and_deleted(client):
    made = client.projects.create("first", tags=["a"], description="about")
    assert client.projects.get("first") == made
    assert client.projects.add_tags("first", "b", "a").tags == ["a", "b"]
    assert client.projects.remove_tags(made.id, "a").tags == ["b"]
    assert client.projects.update("first", name="second").id == made.id
    assert client.projects.archive("second").archived
    assert not client.projects.unarchive("second").archived
    assert [project.name for project in client.projects.list(tag="b")] == ["second"]
    assert not client.projects.delete("second").deleted
    assert client.projects.delete("second", confirm=True).deleted
    assert client.projects.wait_gone(made.id)
    with pytest.raises(NotFound):
        client.projects.get(made.id)


def test_a_taken_name_and_a_stale_version_are_conflicts(client):
    made = client.projects.create("taken")
    with pytest.raises(Conflict):
        client.projects.create("taken")
    client.projects.update("taken", description="one")
    with pytest.raises(Conflict):
        client.projects.update("taken", description="two", version=made.version)


@pytest.mark.parametrize("name", ["a b", "ü/x?#&%2F", ".."])
def test_a_name_is_one_piece_of_a_path_whatever_it_holds(client, name):
    with pytest.raises(NotFound):
        client.projects.get(name)


def test_a_notebook_runs_with_parameters_and_comes_back(client, notebook, tmp_path):
    path = notebook("from pathlib import Path\nPath('made.txt').write_text(str(n))", "print(n * 2)")
    run = client.run(path, {"n": 21}, tags=["t"])
    assert (run.state, run.name, run.origin, run.tags) == ("Succeeded", "train", "sdk", ["t"])
    output = client.runs.notebook(run.id)
    assert output["cells"][-1]["outputs"][0]["text"] in ("42\n", ["42\n"])
    saved = client.runs.save_notebook(run.id, tmp_path / "out.ipynb")
    assert json.loads(saved.read_text()) == output
    assert "made.txt" in [file["path"] for file in client.runs.files(run.id)]
    downloaded = client.runs.download(run.id, tmp_path / "got", ["made.txt"])
    assert [path.read_text() for path in downloaded] == ["21"]
    kinds = [event["type"] for event in client.runs.watch(run.id)]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert "".join(client.runs.log(run.id)) != ""
    again = client.runs.rerun(run.id, parameters={"n": 1})
    assert client.runs.wait(again.id).spec.parameters == {"n": 1}
    client.runs.delete(run.id)
    with pytest.raises(NotFound):
        client.runs.get(run.id)


def test_a_failed_run_is_returned_with_its_reason(client, notebook):
    run = client.run(notebook("1 / 0"))
    assert run.state == "Failed"
    assert "ZeroDivisionError" in run.failure.reason


def test_a_cancelled_run_keeps_what_was_done(client, notebook):
    run = client.run(notebook("print('done')", "import time\nwhile True: time.sleep(0.01)"), wait=False)
    for event in client.runs.watch(run.id):
        if event["type"] == "cell_start" and event["index"] == 2:
            client.runs.cancel(run.id)
    assert client.runs.settled(run.id).state == "Canceled"
    assert "done" in json.dumps(client.runs.notebook(run.id))


def test_an_unknown_parameter_is_refused_before_anything_runs(client, notebook):
    with pytest.raises(BadInput, match='Did you mean "label"'):
        client.run(notebook("print(1)"), {"lable": "x"})


def test_a_second_snapshot_of_a_folder_sends_nothing(client, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("a" * 1000)
    first = client.snapshots.create(folder)
    sent: list[int] = []
    again, _ = client.snapshots.upload(folder, on_progress=lambda done, total: sent.append(done))
    assert again == first.id
    assert sent == []
    assert [file.path for file in client.snapshots.files(first.id).files] == ["a"]


def test_a_file_that_changes_between_packing_and_upload_is_packed_again(client, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_text("old")
    offered = Snapshots._offer

    def change_once(self, packed, project):
        answer = offered(self, packed, project)
        if (folder / "a").read_text() == "old":
            (folder / "a").write_text("new")
        return answer

    monkeypatch.setattr(Snapshots, "_offer", change_once)
    snapshot = client.snapshots.create(folder)
    assert [file.size for file in client.snapshots.files(snapshot.id).files] == [3]
    assert client.snapshots.create(folder).id == snapshot.id


def test_a_folder_over_the_bound_is_refused_before_anything_is_sent(client, tmp_path):
    (tmp_path / "big").mkdir()
    (tmp_path / "big/a").write_text("x" * 100)
    with pytest.raises(TooLarge, match="nablaignore"):
        client.snapshots.create(tmp_path / "big", limits=Limits(size=10))


def test_a_notebook_is_inspected_before_it_runs(client, notebook):
    summary = client.snapshots.inspect(notebook("print(1)"))
    assert [(one.name, one.type) for one in summary.parameters] == [("n", "int"), ("label", "str")]


def test_the_service_tells_of_itself(client):
    assert client.health().status == "ok"
    assert client.me().team in client.me().teams
    assert client.instances.list().offers
    assert client.openapi()["openapi"].startswith("3.")
