"""Data in JupyterLab: made, uploaded by drop, looked into, tagged, compared and deleted in a browser."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import nbformat
import pytest
from house import House, call
from lab import PATIENCE, Lab, nabla, visit, write_notebook
from playwright.sync_api import Browser, Locator, expect

pytestmark = pytest.mark.browser
MANY = 100_000
FOLDERS = 1_000

DROP = """(zone, files) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  for (const type of ['dragover', 'drop']) {
    zone.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
  }
}"""


def png(width: int = 64, height: int = 48) -> bytes:
    """Return an image of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    shape = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    lines = (b"\x00" + b"\x1f\x77\xb4" * width) * height
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", shape),
            chunk(b"IDAT", zlib.compress(lines)),
            chunk(b"IEND", b""),
        ]
    )


def notebook() -> bytes:
    """Return a notebook whose output would run a script if it were trusted."""
    evil = "<b>seen</b><script>window.owned = true</script><img src=x onerror='window.owned = true'>"
    output = nbformat.v4.new_output("display_data", data={"text/html": evil})
    cell = nbformat.v4.new_code_cell("print('from a dataset')", outputs=[output], execution_count=1)
    return str(nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))).encode()


TABLE = b"id,name,score\n" + b"".join(b"%d,row %d,0.%d\n" % (n, n, n) for n in range(1, 41))
FILES = {"scores.csv": TABLE, "blue.png": png(), "look.ipynb": notebook()}


@dataclass
class Data:
    """The admin in front of JupyterLab, and what the service says to their token."""

    house: House
    lab: Lab
    token: str

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Call the service as the admin, and return the answer."""
        answer = call(self.house, self.token, method, path, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def make(self, name: str) -> Locator:
        """Make a dataset in the side bar and return its page."""
        bar = nabla(self.lab.sidebar(), "section-data")
        nabla(bar, "new-dataset").click()
        nabla(bar, "new-dataset-name").fill(name)
        nabla(bar, "new-dataset-create").click()
        page = self.lab.shown("dataset-page")
        expect(page).to_contain_text(name)
        return page

    def open(self, name: str) -> Locator:
        """Open a dataset from the side bar."""
        nabla(self.lab.sidebar(), "dataset-row").filter(has_text=name).click()
        found = self.ask("GET", f"datasets/{name}")["id"]
        page = nabla(self.lab.page, "dataset-page").and_(self.lab.page.locator(f"[data-id={found}]"))
        page.wait_for()
        return page

    def drop(self, files: dict[str, bytes], onto: Locator | None = None) -> None:
        """Drop files onto the dataset that shows, or a line of its tree."""
        sent = [[name, base64.b64encode(content).decode()] for name, content in files.items()]
        (onto or nabla(self.lab.page, "drop-zone")).evaluate(DROP, sent)

    def fill(self, name: str, entries: list[tuple[str, bytes]], message: str) -> str:
        """Make and commit a version over the API, and return its name."""
        self.ask("POST", "datasets", json={"name": name})
        version = (
            f"datasets/{name}/versions/" + self.ask("POST", f"datasets/{name}/versions", json={})["name"]
        )
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w") as tar:
            for sum_, content in {md5(content).hexdigest(): content for _, content in entries}.items():
                member = tarfile.TarInfo(sum_)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        self.ask("PUT", f"{version}/objects", content=body.getvalue())
        lines = [{"path": p, "md5": md5(c).hexdigest(), "size": len(c)} for p, c in entries]
        told = self.ask(
            "POST", f"{version}/entries", content="".join(json.dumps(line) + "\n" for line in lines)
        )
        assert told["entered"] == len(entries), told
        self.ask("PATCH", version, json={"message": message})
        self.ask("POST", f"{version}/commit")
        return version.rpartition("/")[2]


@pytest.fixture(scope="module")
def data(browser: Browser, house: House) -> Iterator[Data]:
    token = house.admin().token(house.owner)
    with visit(browser, house) as lab:
        yield Data(house, lab.enter(), token)
        assert not lab.complaints, lab.complaints


def committed(page: Locator, count: int) -> None:
    """Wait until `count` versions are committed."""
    versions = page.locator('[data-nabla="version"][data-state="Committed"]')
    expect(versions).to_have_count(count, timeout=PATIENCE)


def file(page: Locator, path: str) -> Locator:
    """Return a line of the tree."""
    return page.locator(f'[data-nabla="file"][data-path="{path}"]')


def commit(page: Locator, message: str) -> None:
    """Commit the version that shows, once all that was dropped is in it."""
    nabla(page, "commit-message").fill(message)
    expect(nabla(page, "commit")).to_be_enabled(timeout=PATIENCE)
    nabla(page, "commit").click()


def test_a_dataset_is_made_filled_by_drop_and_committed(data: Data) -> None:
    page = data.make("digits")
    nabla(page, "dataset-empty").wait_for()
    data.drop(FILES)
    for path in FILES:
        expect(file(page, path)).to_be_visible(timeout=PATIENCE)
    expect(nabla(page, "upload-progress")).to_contain_text("3 files uploaded", timeout=PATIENCE)
    commit(page, "first <b>three</b>")
    committed(page, 1)
    expect(nabla(page, "version")).to_contain_text("first <b>three</b>")
    expect(nabla(page, "copy-reference")).to_contain_text("digits:latest")
    expect(nabla(page, "copy-python")).to_contain_text('nabla.dataset("digits:latest")')
    row = nabla(data.lab.sidebar(), "dataset-row").filter(has_text="digits")
    expect(row).to_contain_text("3 files", timeout=PATIENCE)


def test_tables_images_and_notebooks_are_seen_without_running_what_is_in_them(data: Data) -> None:
    page = data.open("digits")
    file(page, "scores.csv").click()
    expect(nabla(page, "preview-table").locator("tbody tr")).to_have_count(40, timeout=PATIENCE)
    expect(nabla(page, "preview-table")).to_contain_text("row 7")
    file(page, "blue.png").click()
    expect(nabla(page, "preview")).to_contain_text("64 \u00d7 48", timeout=PATIENCE)
    file(page, "look.ipynb").click()
    shown = nabla(page, "preview-notebook")
    expect(shown).to_contain_text("from a dataset", timeout=PATIENCE)
    expect(shown).to_contain_text("seen", timeout=PATIENCE)
    assert data.lab.page.evaluate("() => window.owned") is None
    nabla(page, "preview-close").click()


def test_a_tag_is_set_moved_and_removed_where_it_stands(data: Data) -> None:
    page = data.open("digits")
    nabla(page, "version-tag-add").click()
    nabla(page, "version-tag-input").fill("v1")
    nabla(page, "version-tag-input").press("Enter")
    expect(nabla(page, "version-tag")).to_contain_text("v1", timeout=PATIENCE)
    assert data.ask("GET", "datasets/digits")["version_tags"]
    nabla(page, "version-tag-remove").click()
    expect(nabla(page, "version-tag")).to_have_count(0, timeout=PATIENCE)


def test_a_second_version_begins_with_the_first_and_says_what_differs(data: Data) -> None:
    page = data.open("digits")
    data.drop({"scores.csv": TABLE.replace(b"row 7,0.7", b"row seven,0.7"), "more.txt": b"more\n"})
    nabla(page, "upload-into-latest").check()
    nabla(page, "upload-begin").click()
    expect(file(page, "more.txt")).to_be_visible(timeout=PATIENCE)
    expect(file(page, "blue.png")).to_be_visible()
    commit(page, "second")
    committed(page, 2)
    nabla(page, "tab-compare").click()
    count = nabla(page, "difference-count")
    expect(count).to_contain_text("1 added", timeout=PATIENCE)
    expect(count).to_contain_text("1 changed")
    expect(count).to_contain_text("2 the same")
    nabla(page, "difference").filter(has_text="scores.csv").get_by_role("button").click()
    expect(nabla(page, "side-by-side")).to_contain_text("row seven", timeout=PATIENCE)
    nabla(page, "tab-lineage").click()
    expect(nabla(page, "made-by")).to_contain_text("Began as a copy of", timeout=PATIENCE)
    nabla(page, "tab-files").click()


def test_files_dropped_onto_a_folder_go_into_it(data: Data) -> None:
    data.fill("nested", [("deep/a.txt", b"a\n")], "one")
    page = data.open("nested")
    data.drop({"b.txt": b"b\n"}, onto=file(page, "deep"))
    expect(nabla(page, "upload-choice")).to_contain_text("deep/b.txt")
    nabla(page, "upload-begin").click()
    expect(nabla(page, "upload-progress")).to_contain_text("1 file uploaded", timeout=PATIENCE)
    expect(file(page, "deep")).to_contain_text("2", timeout=PATIENCE)
    file(page, "deep").click()
    expect(file(page, "deep/b.txt")).to_be_visible(timeout=PATIENCE)


def test_a_run_reads_the_version_that_its_form_names_and_its_page_leads_there(data: Data) -> None:
    listing = "import os\nprint(os.listdir(os.environ['NABLA_INPUTS'] + '/digits'))"
    write_notebook(data.house, "reads/reads.ipynb", listing)
    data.lab.open_notebook("reads/reads.ipynb")
    form = data.lab.run_form()
    nabla(form, "inputs-add").click()
    nabla(form, "inputs-dataset").fill("dig")
    nabla(form, "inputs-dataset-offer").filter(has_text="digits:latest").first.click()
    expect(nabla(form, "inputs-name")).to_have_value("digits")
    run = data.lab.submit(form)
    data.lab.state(run, "Succeeded")
    expect(run).to_contain_text("more.txt")
    nabla(run, "tab-parameters").click()
    digits = data.ask("GET", "datasets/digits")
    expect(nabla(run, "data-inputs")).to_contain_text(f"{digits['id']}:{digits['latest']}")
    nabla(run, "data-open").click()
    expect(data.lab.shown("dataset-page")).to_have_attribute("data-id", digits["id"])


def test_a_folder_of_100000_files_is_moved_through_at_once(data: Data) -> None:
    letter = b"x\n"
    entries = [(f"all/{n:06}.txt", letter) for n in range(MANY)]
    entries += [(f"folder-{n:04}/{n}.txt", letter) for n in range(FOLDERS)]
    data.fill("many", entries, "all of them")
    page = data.open("many")
    tree = nabla(page, "files")
    expect(file(page, "all")).to_contain_text("100,000", timeout=PATIENCE)
    tree.focus()
    tree.press("Home")
    tree.press("ArrowRight")
    expect(file(page, "all/000000.txt")).to_be_visible(timeout=PATIENCE)
    tree.press("ArrowDown")
    expect(file(page, "all/000000.txt")).to_have_attribute("aria-selected", "true")
    assert tree.locator('[role="treeitem"]').count() < 200, "lines out of view exist too"
    expect(file(page, "all/000000.txt")).to_have_attribute("aria-setsize", str(MANY))
    nabla(page, "files-search").fill("099999")
    expect(file(page, "all/099999.txt")).to_be_visible(timeout=PATIENCE)
    file(page, "all/099999.txt").click()
    expect(nabla(page, "preview-text")).to_have_text("x\n", timeout=PATIENCE)
    nabla(page, "files-search").fill("")
    expect(file(page, "all")).to_be_visible(timeout=PATIENCE)
    tree.focus()
    tree.press("End")
    expect(file(page, "folder-0999")).to_be_visible(timeout=PATIENCE)


def test_an_uncommitted_version_and_then_the_dataset_are_deleted(data: Data) -> None:
    page = data.open("digits")
    data.drop({"wrong.txt": b"wrong"})
    nabla(page, "upload-into-empty").check()
    nabla(page, "upload-begin").click()
    expect(file(page, "wrong.txt")).to_be_visible(timeout=PATIENCE)
    expect(file(page, "blue.png")).to_have_count(0)
    nabla(page, "version-delete").click()
    nabla(page, "confirm-yes").click()
    expect(nabla(page, "version")).to_have_count(2, timeout=PATIENCE)
    nabla(page, "dataset-delete").click()
    nabla(page, "confirm-yes").click()
    expect(page).to_have_count(0, timeout=PATIENCE)
    expect(nabla(data.lab.sidebar(), "dataset-row").filter(has_text="digits")).to_have_count(0)


def test_the_catalogue_lists_public_datasets_with_licence_and_a_way_to_have_them(data: Data) -> None:
    nabla(data.lab.sidebar(), "open-catalogue").click()
    catalogue = data.lab.shown("catalogue")
    expect(nabla(catalogue, "public-dataset").first).to_be_visible(timeout=PATIENCE)
    nabla(catalogue, "catalogue-search").fill("nothing is called like this")
    expect(nabla(catalogue, "public-dataset")).to_have_count(0, timeout=PATIENCE)
