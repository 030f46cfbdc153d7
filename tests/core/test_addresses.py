"""What messages may show of an address, and addresses with a file joined to them."""

from __future__ import annotations

import pytest

from agvae.addresses import join, public

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://host.example:8000/a/b", "https://host.example:8000/a/b"),
        ("https://[::1]:80/a", "https://[::1]:80/a"),
        ("http://[", "http://["),
        ("s3://bucket", "s3://bucket"),
        ("https://user:s3cret@host/a", "https://host/a"),
        ("https://s3cret@host/a", "https://host/a"),
        ("https://user:s3c@ret@host/a", "https://host/a"),
        ("https://user:s3 cret s3cret@host/a", "https://host/a"),
        ("  https://user:s3cret@host/a", "https://host/a"),
        ("https://user:s3cret/s3cret@host/a", "https://...@host/a"),
        ("https://user:\\s3cret@host/a", "https://...@host/a"),
        ("https://user:s3cret?s3cret@host/a", "https://..."),
        ("https://user:s3cret#s3cret@host/a", "https://..."),
        ("https://host/a?token=s3cret", "https://host/a"),
        ("https://host/a?to=a@b&token=s3cret", "https://..."),
        ("https://host/a#s3cret", "https://host/a"),
        ("https://user:s3cret%40host/a", "https://..."),
        ("https://user:s3cret", "https://..."),
        ("//user:s3cret@host/a", "...@host/a"),
        ("https//user:s3cret@host/a", "...@host/a"),
        ("https:/user:s3cret@host/a", "...@host/a"),
        ("https:\\\\user:s3cret@host/a", "...@host/a"),
        ("user:s3cret@host/a", "...@host/a"),
        ("s3cret@host/a", "...@host/a"),
        ("host/a?token=s3cret", "host/a"),
        ("https://https://user:s3cret@host/a", "...@host/a"),
        ("/home/me@work/models", "/home/me@work/models"),
        ("~/me@work", "~/me@work"),
        ("C:\\models@2", "C:\\models@2"),
        ("my models", "my models"),
    ],
)
def test_what_may_be_secret_is_not_shown(address: str, shown: str) -> None:
    assert SECRET not in shown
    assert public(address) == shown


@pytest.mark.parametrize(
    ("address", "joined"),
    [
        ("http://host", "http://host/f"),
        ("http://host/a/", "http://host/a/f"),
        ("https://user:p%2Fw@host:1/a", "https://user:p%2Fw@host:1/a/f"),
        ("https://host/npm/pkg@1.2", "https://host/npm/pkg@1.2/f"),
        ("https://host/a?sig=x%2F&v=1", "https://host/a/f?sig=x%2F&v=1"),
    ],
)
def test_a_file_is_joined_to_an_address(address: str, joined: str) -> None:
    assert join(address, "f") == joined


@pytest.mark.parametrize(
    "address",
    [
        "https://user:s3cret/s3cret@host/a",
        "https://us/er:s3cret@host/a",
        "https://user:1?s3cret:x@host/a",
        "https://user:12\\s3cret@host/a",
        "https://user:s3cret",
        "https://[s3cret",
        "https://",
        "https://:80/s3cret",
        "https://user:s3cret\u2048@host/a",
        "https://s3cret\u2100@host",
    ],
)
def test_a_password_is_not_taken_for_a_part_of_the_address(address: str) -> None:
    with pytest.raises(ValueError, match="not an address") as caught:
        join(address, "f")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
