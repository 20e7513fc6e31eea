"""Fills the HTML pages of reports, which need no network and share a style."""

import datetime

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def sentence_case(text: str) -> str:
    """Returns a text with its first letter in upper case, and the others as they are."""
    return text[:1].upper() + text[1:]


def fill_page(template: str, package: str = "fia.evaluation", **content: object) -> str:
    """Returns a page with its content and today's date.

    Args:
        template: name of the template.
        package: the package whose templates hold it. It may include those of `fia.evaluation`.
        **content: values by their names in the template.
    """
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("fia.evaluation")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters["sentence_case"] = sentence_case
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return environment.get_template(template).render(date=date, **content)
