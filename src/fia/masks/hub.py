"""Masks on the Hugging Face Hub."""

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
    """Uploads a folder to a repository, which is made if there is none; returns its address.

    Args:
        folder: a mask's.
        repo_id: owner/name.
        message: of the commit.
        private: whether a new repository is private; None leaves it to the owner's account.
        token: of the Hub; None takes the one that is logged in.
        stale: names of files that are deleted there if the folder does not hold them.
    """
    api = HfApi(token=token, library_name="fia")
    api.create_repo(repo_id, private=private, exist_ok=True)
    uploaded = api.upload_folder(
        repo_id=repo_id, folder_path=folder, commit_message=message, delete_patterns=list(stale)
    )
    return str(uploaded.repo_url)


def commit_message(mask: MaskContents) -> str:
    """Returns what the commit of a mask says."""
    return f"Mask without {', '.join(mask.concepts) or 'nothing'}"
