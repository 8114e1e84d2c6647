"""A notebook that tries everything that a page could do to whoever looks at it."""

from __future__ import annotations

import nbformat

CANARY = "http://canary.example"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" onload="parent.hit=1">'
    f'<script>top.hit=1;fetch("{CANARY}/svg")</script><image href="{CANARY}/svg.png"/></svg>'
)
HTML = [
    '<script>top.hit=1; document.title="hit"</script>',
    f'<img src="{CANARY}/pixel.png" onerror="top.hit=1"><img src=x onerror="top.hit=1">',
    '<a id="bad" href="javascript:top.hit=1">click</a><a href="java\nscript:top.hit=1">click</a>',
    f'<meta http-equiv="refresh" content="0;url={CANARY}/refresh">',
    f'<form action="{CANARY}/form" id="f"><input autofocus onfocus="top.hit=1"><button>go</button></form>',
    f'<iframe src="{CANARY}/frame"></iframe><iframe srcdoc="<script>top.hit=1</script>"></iframe>',
    f'<object data="{CANARY}/object"></object><embed src="{CANARY}/embed">',
    f'<style>@import "{CANARY}/style.css"; header{{display:none}} p{{background:url({CANARY}/bg)}}</style>',
    f'<div style="position:fixed;inset:0;background:url({CANARY}/style);z-index:99999">over</div>',
    f'<link rel="stylesheet" href="{CANARY}/link.css"><base href="{CANARY}/">',
    f'<svg><script>top.hit=1</script><use href="{CANARY}/use#x"/><animate onbegin="top.hit=1"/></svg>',
    '<details open ontoggle="top.hit=1"><summary>x</summary></details>',
    f'<video src="{CANARY}/video" autoplay></video><audio src="{CANARY}/audio"></audio>',
    "</div></section></main></body><header class='frame'><h1>Nabla says: sign in again</h1></header>",
    '<math><mtext><table><mglyph><style><img src=x onerror="top.hit=1"></style></table></mtext></math>',
    '<template><script>top.hit=1</script></template><noscript><img src=x onerror="top.hit=1"></noscript>',
    '<img src="data:image/svg+xml,<svg onload=top.hit=1>">',
    '<a href="data:text/html,<script>top.hit=1</script>">data</a>',
]


def hostile() -> bytes:
    """Return a notebook that tries all of it in Markdown and in outputs."""
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell(html) for html in HTML]
    cells.append(
        v4.new_markdown_cell(r"$\href{javascript:top.hit=1}{x}$ $$\unicode{<script>top.hit=1</script>}$$")
    )
    cells.append(v4.new_markdown_cell("[click](javascript:top.hit=1) ![x](javascript:top.hit=1) # Title"))
    code = v4.new_code_cell("print('</pre><script>top.hit=1</script>')", execution_count=1)
    code.outputs = [v4.new_output("display_data", data={"text/html": html}) for html in HTML]
    code.outputs += [
        v4.new_output("display_data", data={"image/svg+xml": SVG}),
        v4.new_output("display_data", data={"image/png": '"><script>top.hit=1</script>'}),
        v4.new_output("display_data", data={"application/javascript": "top.hit=1"}),
        v4.new_output("display_data", data={"text/latex": "$$</math><script>top.hit=1</script>$$"}),
        v4.new_output("stream", name="stdout", text="\x1b[31m<script>top.hit=1</script>\x1b[0m\x1b]0;x\x07"),
        v4.new_output("error", ename="<b>", evalue="<script>", traceback=["<script>top.hit=1</script>"]),
    ]
    cells.append(code)
    return nbformat.writes(v4.new_notebook(cells=cells)).encode()
