"""What the proxy changes in the answers of people's servers."""

from __future__ import annotations

import subprocess

from nabla_hub.proxy import PRELOAD, node

ANSWER = """
const http = require('node:http');
const server = http.createServer((_, answer) => {
  answer.setHeader('Service-Worker-Allowed', '/');
  answer.setHeader('X-Kept', 'yes');
  answer.end();
});
server.listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, host: '127.0.0.1' }, got => {
    console.log(JSON.stringify(Object.keys(got.headers)));
    server.close();
  });
});
"""


def test_no_persons_server_gives_a_service_worker_more_than_its_own_folder() -> None:
    done = subprocess.run(
        [node(), f"--require={PRELOAD}", "-e", ANSWER],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "x-kept" in done.stdout
    assert "service-worker-allowed" not in done.stdout
