"""Pages to look at: one HTML file each, which loads nothing and can be passed on. All share one style.

Templates stand in `templates/`; `style.css` there holds the colours and the type of every page, light and dark.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from sam2_adapter.text import shown_change

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def render_page(template: str, **values: Any) -> str:
    """Fill in a template; everything inserted is escaped.

    Args:
        template: file name in `templates/`.
        values: what the template names; a name that it uses and that is missing is an error.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sam2_adapter.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["command"] = _command
    environment.filters["code"] = _with_code
    environment.filters["change_to"] = shown_change
    return environment


def _with_code(text: str) -> Markup:
    """A sentence in which what stands between backticks, such as a command to type, is shown as code."""
    from markupsafe import Markup, escape

    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


def _command(command: str) -> Markup:
    """A command whose lines are broken between its words, and inside of one only where it is longer than a line."""
    from markupsafe import Markup

    words = (Markup('<span class="word">{}</span>').format(word) for word in re.split(r" +", command))
    return Markup(" ").join(words)
