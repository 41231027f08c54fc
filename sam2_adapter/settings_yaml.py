"""YAML for flat settings: numbers and booleans get their types, and nothing in it can take long or be lost silently."""

from __future__ import annotations

from typing import Any

import yaml

# Settings are flat, and lists are the deepest that a value is.
_MOST_LEVELS = 20


class SettingsYamlError(yaml.MarkedYAMLError):
    """Well-formed YAML that holds no settings; `problem` says why, in words for people."""


def parse_yaml(text: str, *, as_texts: bool = False) -> Any:
    """Parse a YAML text.

    Args:
        text: the content of the file.
        as_texts: keep every value as it is written, for names: `no` and `007` are no names otherwise.

    Raises:
        yaml.YAMLError: it is not YAML, a key stands twice, or a mapping is merged into another one.
        ValueError: a value cannot be converted, such as a number with thousands of digits.
        RecursionError: it is nested too deeply.
    """
    return yaml.load(text, _TextLoader if as_texts else _Loader)


class _Loader(yaml.SafeLoader):
    """Refuses merge keys, a few of which make a mapping of a billion entries; keys that stand twice; and dates, which are texts here."""

    yaml_implicit_resolvers = {  # noqa: RUF012  as in the base class
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse deep nesting before all of it is read, which would take a time that grows with the square of its depth."""
        self._depth += 1
        if self._depth > _MOST_LEVELS:
            raise RecursionError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse what would be merged or lost; called before a mapping is made."""
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise SettingsYamlError(None, None, "a merge key (<<) has no place in settings", key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                raise SettingsYamlError(None, None, "a key is a single word", key.start_mark)
            if key.value in seen:
                raise SettingsYamlError(None, None, "the key stands twice", key.start_mark)
            seen.add(key.value)


class _TextLoader(_Loader):
    """Values are texts; one that is left out is an empty one."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  as in the base class
