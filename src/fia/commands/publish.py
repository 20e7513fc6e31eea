"""`fia publish`."""

from dataclasses import dataclass

from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

from ..errors import FIAError, UsageError
from ..export import publish
from ..masks.file import check_folder
from ..masks.mask import NeuronMask
from .arguments import Folder, Mask

HTTPError: type[Exception] = HfHubHTTPError.__mro__[
    1
]  # httpx's error class, under any name that the Hub's client imports


@dataclass
class Publish:
    """Publishes a mask with its evidence and licence.

    It writes a folder, or uploads to a repository on the Hugging Face Hub, or both.

    Examples:
      fia publish masks/two --out published/two --evidence runs/two --licence apache-2.0
      fia publish masks/two --repo somebody/no-church --evidence runs/two --licence apache-2.0
    """

    mask: Mask
    out: Folder | None = None
    """Where to write."""
    repo: str | None = None
    """Repository on the Hub to upload to, as owner/name. It is created if it does not exist. Needs `hf auth login`."""
    evidence: Folder | None = None
    """The mask's evaluation, a folder that `fia evaluate` wrote."""
    licence: str | None = None
    """Identifier of the mask's licence, such as apache-2.0."""
    private: bool = False
    """Make a new repository private."""
    replace: bool = False
    """Replace a mask that is in the folder already."""

    def run(self) -> None:
        if self.out is None and self.repo is None:
            raise UsageError("Say where to publish: --out FOLDER, --repo OWNER/NAME, or both.")
        if self.out is not None:
            check_folder(self.out, replaces=self.replace)
        mask = NeuronMask.from_pretrained(self.mask)
        if self.out is not None:
            publish.write(mask, self.out, self.evidence, self.licence)
            print(f"Written to {self.out}")
        if self.repo is not None:
            print(self.upload(mask, self.repo))

    def upload(self, mask: NeuronMask, repo: str) -> str:
        """Uploads the mask and returns the address of its repository.

        Raises:
            FIAError: if the Hub cannot be reached, or refuses the upload.
        """
        try:
            return publish.push(mask, repo, self.evidence, self.licence, private=self.private or None)
        except HFValidationError as error:
            raise UsageError(f"--repo {repo} is not a repository name; give OWNER/NAME. ({error})") from None
        except LocalTokenNotFoundError:
            raise UsageError("You are not logged in to the Hub. Log in first: hf auth login.") from None
        except HfHubHTTPError as error:
            reason = str(error).strip().splitlines()[-1]
            raise FIAError(f"The Hub refuses the upload to {repo}: {reason}") from None
        except (HTTPError, ConnectionError) as error:
            raise FIAError(
                f"Cannot reach the Hub, so nothing was uploaded to {repo}. Try again later, or write a "
                f"folder: --out FOLDER. ({type(error).__name__}: {error})"
            ) from None
