"""News for pages: each page hears everything from its start on, and one that does not listen is let go."""

from __future__ import annotations

import asyncio
import json

from sam2_adapter.label import page_news
from sam2_adapter.label.page_news import PageNews


def _parsed(text):
    return json.loads(text.split("data: ", 1)[1])


def test_all_pages_hear_the_news_after_a_first_word():
    async def run():
        news = PageNews()
        pages = [news.stream(lambda number=number: {"hello": number}) for number in range(2)]
        first = [_parsed(await anext(page)) for page in pages]
        news.tell({"label": "a\n\n<b>"})
        second = [_parsed(await anext(page)) for page in pages]
        news.close()
        return first, second, [[text async for text in page] for page in pages]

    assert asyncio.run(run()) == ([{"hello": 0}, {"hello": 1}], [{"label": "a\n\n<b>"}] * 2, [[], []])


def test_a_page_that_does_not_listen_is_let_go(monkeypatch):
    monkeypatch.setattr(page_news, "_MOST_WAITING", 3)

    async def run():
        news = PageNews()
        page = news.stream(dict)
        await anext(page)
        for number in range(9):
            news.tell({"n": number})
        return [_parsed(text)["n"] async for text in page]

    assert asyncio.run(run()) == [0, 1, 2]


def test_a_silent_connection_is_kept_alive(monkeypatch):
    monkeypatch.setattr(page_news, "_ALIVE_S", 0.01)

    async def run():
        page = PageNews().stream(dict)
        await anext(page)
        return await anext(page)

    assert asyncio.run(run()) == ": alive\n\n"
