"""`fia publish --repo`: what the Hub cannot do is explained in one line."""

import pytest
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError

from fia.cli import main
from fia.commands.publish import HTTPError
from fia.export import publish


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            HTTPError("Name or service not known"),
            1,
            "fia: Cannot reach the Hub, so nothing was uploaded to me/mask.",
        ),
        (ConnectionError("offline mode"), 1, "fia: Cannot reach the Hub, so nothing was uploaded to me/mask."),
        (HFValidationError("must use letters"), 2, "fia: --repo me/mask is not a repository name; give OWNER/NAME."),
        (LocalTokenNotFoundError("no token"), 2, "fia: You are not logged in to the Hub. Log in first: hf auth login."),
    ],
)
def test_an_upload_that_fails_is_one_line(error, code, message, folder, monkeypatch, capsys) -> None:
    def push(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(publish, "push", push)
    assert main(["publish", str(folder), "--repo", "me/mask"]) == code
    text = capsys.readouterr().err
    assert text.startswith(message)
    assert text.count("\n") == 1
