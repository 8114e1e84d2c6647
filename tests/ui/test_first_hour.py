"""The first hour of a notebook user, in a real browser, through the real hub."""

from __future__ import annotations

import os
import signal

import pytest
from house import House, until
from lab import EXAMPLE, PATIENCE, Lab, nabla, visit, write_notebook
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser
FOREVER = "import time\nprint('running', flush=True)\nwhile True: time.sleep(0.05)"


def test_a_project_is_made_and_the_example_runs_live_with_its_figure(lab: Lab) -> None:
    lab.make_project("digits")
    lab.open_notebook(EXAMPLE)
    form = lab.run_form()
    expect(nabla(form, "param-n_estimators")).to_have_value("100")
    nabla(form, "variable-add").click()
    nabla(form, "variable-name").fill("OMP_NUM_THREADS")
    nabla(form, "variable-value").fill("1")
    run = lab.submit(form, n_estimators="40")
    expect(run.locator("[data-nabla^=cell-] img")).to_have_count(2, timeout=PATIENCE)
    lab.state(run, "Succeeded")
    expect(run.locator("[data-nabla^=cell-]").last).to_have_attribute("data-state", "ok")
    nabla(run, "tab-parameters").click()
    expect(nabla(run, "value-n_estimators")).to_contain_text("40")
    expect(nabla(run, "variable-OMP_NUM_THREADS")).to_have_text("1")


def test_a_wrong_value_is_told_in_the_form_before_anything_starts(lab: Lab) -> None:
    lab.open_notebook(EXAMPLE)
    form = lab.run_form()
    nabla(form, "param-n_estimators").fill("many")
    expect(form).to_contain_text("whole number", timeout=PATIENCE)
    expect(nabla(form, "run-form-submit")).to_be_disabled()
    nabla(form, "param-n_estimators").fill("12")
    expect(nabla(form, "run-form-submit")).to_be_enabled()


def test_a_long_run_is_cancelled_and_keeps_what_was_done(lab: Lab) -> None:
    write_notebook(lab.house, "long/long.ipynb", "print('kept')", FOREVER)
    lab.open_notebook("long/long.ipynb")
    run = lab.submit(lab.run_form())
    expect(run).to_contain_text("running", timeout=PATIENCE)
    lab.state(run, "Running")
    expect(run.locator("[data-nabla=cell-1]")).to_have_attribute("data-state", "running")
    nabla(run, "run-cancel").click()
    lab.state(run, "Canceled")
    expect(run).to_contain_text("kept")


def test_a_failing_run_names_the_cell_and_the_reason(lab: Lab) -> None:
    write_notebook(lab.house, "bad/bad.ipynb", "x = 1", "1 / 0")
    lab.open_notebook("bad/bad.ipynb")
    run = lab.submit(lab.run_form())
    lab.state(run, "Failed")
    expect(nabla(run, "run-failure")).to_contain_text("ZeroDivisionError")
    expect(nabla(run, "run-failure")).to_contain_text("Cell 2")


def test_outputs_made_by_a_notebook_run_no_script_in_the_page(lab: Lab) -> None:
    hostile = (
        "from IPython.display import HTML, Javascript, display\n"
        "display(HTML('<img src=x onerror=\"window.stolen=1\"><script>window.stolen=1</script>'))\n"
        "display(Javascript('window.stolen=1'))"
    )
    write_notebook(lab.house, "xss/xss.ipynb", hostile, "print('after')")
    lab.open_notebook("xss/xss.ipynb")
    run = lab.submit(lab.run_form())
    lab.state(run, "Succeeded")
    expect(run).to_contain_text("after")
    assert lab.page.evaluate("() => window.stolen") is None


def test_the_run_goes_on_when_the_tab_is_closed_and_the_server_stopped(
    browser: Browser, house: House
) -> None:
    write_notebook(house, "gate/gate.ipynb", "print('before')", *_steps())
    with visit(browser, house) as first:
        first.enter().open_notebook("gate/gate.ipynb")
        run = first.submit(first.run_form())
        expect(run).to_contain_text("before", timeout=PATIENCE)
    _stop_server(house)
    with visit(browser, house) as second:
        second.enter()
        bar = second.sidebar()
        nabla(bar, "run-row").filter(has_text="gate").first.click()
        run = second.shown("run-page")
        second.state(run, "Succeeded")
        expect(run).to_contain_text("before")
        expect(run).to_contain_text("step 9")


def test_a_restart_of_the_service_is_not_seen_in_a_run(lab: Lab) -> None:
    write_notebook(lab.house, "restart/restart.ipynb", "print('before')", *_steps(seconds=0.4))
    lab.open_notebook("restart/restart.ipynb")
    run = lab.submit(lab.run_form())
    expect(run).to_contain_text("step 1", timeout=PATIENCE)
    service = lab.house.service_pid
    os.kill(service, signal.SIGKILL)
    until(lambda: _other_service(lab.house, service), "a new service")
    lab.state(run, "Succeeded")
    text = run.text_content() or ""
    assert [text.count(f"step {n} done") for n in range(10)] == [1] * 10


def _steps(seconds: float = 0.2) -> list[str]:
    return [f"import time\ntime.sleep({seconds})\nprint('step {n} ' + 'done')" for n in range(10)]


def _stop_server(house: House) -> None:
    token = house.admin().token(house.owner)
    import httpx

    url = f"{house.url}/hub/api/users/{house.owner}"
    headers = {"Authorization": f"token {token}"}
    httpx.delete(f"{url}/server", headers=headers, timeout=60)
    until(lambda: not httpx.get(url, headers=headers, timeout=60).json()["server"], "the server to stop")


def _other_service(house: House, before: int) -> bool:
    try:
        return house.service_pid != before
    except (OSError, ValueError):
        return False
