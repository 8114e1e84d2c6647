"""What of somebody's HTML may be shown: text, tables, inline pictures and formulas; nothing that acts."""

from __future__ import annotations

import re

import nh3

MATH = frozenset({
    "math", "mfrac", "mi", "mn", "mo", "ms", "mtext", "mspace", "mrow", "msqrt", "mroot", "msub", "msup",
    "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom",
    "menclose", "mmultiscripts",
})  # fmt: skip
TEXT = frozenset({
    "a", "abbr", "article", "b", "bdi", "bdo", "blockquote", "br", "caption", "center", "cite", "code",
    "col", "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption", "figure",
    "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li",
    "main", "mark", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section", "small", "span",
    "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time",
    "tr", "tt", "u", "ul", "var", "wbr",
})  # fmt: skip
ATTRIBUTES = {
    "*": {"style", "class", "dir", "lang", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "align", "valign"},
    "th": {"colspan", "rowspan", "align", "valign", "scope"},
    "table": {"border"},
    "col": {"span"},
    "ol": {"start", "type", "reversed"},
    "li": {"value"},
    "details": {"open"},
    "font": {"color"},
    **{f"h{level}": {"id"} for level in range(1, 7)},
    "math": {"display", "xmlns"},
    "mo": {"stretchy", "fence", "separator", "lspace", "rspace", "minsize", "maxsize", "movablelimits"},
    "mspace": {"width", "height", "depth", "linebreak"},
    "mi": {"mathvariant"},
    "mstyle": {"displaystyle", "scriptlevel", "mathcolor", "mathvariant"},
    "mtable": {"columnalign", "rowspacing", "columnspacing", "columnlines", "rowlines"},
    "mtd": {"columnalign"},
    "mfrac": {"linethickness"},
    "mover": {"accent"},
    "menclose": {"notation"},
}
STYLES = {
    "background-color", "border", "border-bottom", "border-collapse", "border-left", "border-right",
    "border-top", "color", "font-family", "font-size", "font-style", "font-weight", "height", "max-width",
    "min-width", "padding", "padding-left", "padding-right", "text-align", "text-decoration",
    "vertical-align", "white-space", "width",
}  # fmt: skip
"""No position, no display, no picture: nothing that could lie over the page's own frame."""
GONE = {
    "script", "style", "iframe", "object", "embed", "form", "template", "noscript", "svg", "title", "head",
}  # fmt: skip
PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=\s]+")
LINK = re.compile(r"(?:https?://|mailto:|#)[^\x00-\x20]+", re.IGNORECASE)
CLASS = re.compile(r"highlight|dataframe|ansi-[a-z-]+|[a-z]{1,3}[0-9]?")
"""The classes of coloured code, of tables and of a terminal's colours: none of the page's own frame."""
FUNCTION = re.compile(r"(?:url|image|expression|attr|var|env)\s*\(|@import|\\", re.IGNORECASE)


def _keep(tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if PICTURE.fullmatch(value) else None
    if name == "href":
        return value if LINK.fullmatch(value) else None
    if name == "class":
        return " ".join(word for word in value.split() if CLASS.fullmatch(word)) or None
    if name == "style":
        return None if FUNCTION.search(value) else value
    return value


def clean(html: str) -> str:
    """Return what may be shown of `html`, its tags closed."""
    return nh3.clean(
        html,
        tags=set(TEXT | MATH),
        clean_content_tags=GONE,
        attributes=ATTRIBUTES,
        attribute_filter=_keep,
        filter_style_properties=STYLES,
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noopener noreferrer nofollow",
        id_prefix="nb-",
    )


def shows(html: str) -> bool:
    """Tell whether cleaned HTML has anything in it to look at."""
    return "<img" in html or "<hr" in html or bool(re.sub(r"<[^>]*>|&nbsp;|\s", "", html))
