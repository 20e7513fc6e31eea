"""Uploads masks to the Hugging Face Hub."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi

from .contents import MaskContents


def upload(
    folder: Path,
    repo_id: str,
    *,
    message: str,
    private: bool | None = None,
    token: str | None = None,
    stale: Sequence[str] = (),
) -> str:
    """Uploads a folder to a repository and returns its address. Makes the repository if it does not exist.

    Args:
        folder: the folder of a mask.
        repo_id: owner/name.
        message: the commit message.
        private: whether a new repository is private. None leaves it to the owner's account.
        token: token of the Hub. None takes that of the user who is logged in.
        stale: names of files to delete from the repository if the folder does not hold them.
    """
    api = HfApi(token=token, library_name="fia")
    api.create_repo(repo_id, private=private, exist_ok=True)
    uploaded = api.upload_folder(
        repo_id=repo_id, folder_path=folder, commit_message=message, delete_patterns=list(stale)
    )
    return str(uploaded.repo_url)


def commit_message(mask: MaskContents) -> str:
    """Returns the commit message of a mask."""
    return f"Mask without {', '.join(mask.concepts) or 'nothing'}"
