"""The server's answers: finding, drawing, switching concepts, the mask to keep, and what is refused."""

import io
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_pipelines import tiny_sd

from fia import NeuronMask
from fia.drawing.images import generate_images
from fia.masks.random_control import random_mask
from fia.models.layers import hash_weights, maskable_layers
from fia.web.jobs import Job

pytestmark = pytest.mark.slow

ON = {"church": 1.0, "cat": 1.0}


def weights(offer):
    return {name: layer.weight.clone() for name, layer in maskable_layers(offer.pipe.unet).items()}


def assert_untouched(offer, before):
    assert all(torch.equal(layer.weight, before[name]) for name, layer in maskable_layers(offer.pipe.unet).items())
    assert not any(layer.module._forward_hooks for layer in maskable_layers(offer.pipe.unet).values())
    assert "forward" not in vars(offer.pipe.unet)


def pixels(page, key):
    answer = page.get(f"/pictures/{key}.png")
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content)).tobytes()


def saved_mask(page, folder: Path) -> NeuronMask:
    answer = page.get("/mask.zip")
    assert answer.status_code == 200
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(folder)
    (inside,) = folder.iterdir()
    return NeuronMask.from_pretrained(inside)


def test_pictures_are_those_of_the_model_and_of_its_mask(page, offer, tmp_path):
    before = weights(offer)
    found = page.found("church", "cat")
    assert [concept["name"] for concept in found["concepts"]] == ["church", "cat"]
    answer = page.draw(strengths=ON, pictures=2, first_seed=3, control=True).json()
    assert page.ended(answer["job"])["state"] == "done"
    assert_untouched(offer, before)
    mask, pipe = saved_mask(page, tmp_path), tiny_sd()
    prompts, seeds = ["a church", "a church", "a cat", "a cat"], [3, 4, 3, 4]
    assert [(p["prompt"], p["seed"]) for p in answer["pictures"]] == list(zip(prompts, seeds, strict=True))
    how = {"num_inference_steps": 2, "guidance_scale": 4.0, "progress": False}
    expected = {"before": generate_images(pipe, prompts, seeds, **how)}
    with mask.applied(pipe):
        expected["after"] = generate_images(pipe, prompts, seeds, **how)
    with random_mask(mask).applied(pipe):
        expected["random"] = generate_images(pipe, prompts, seeds, **how)
    for state, images in expected.items():
        drawn = [pixels(page, picture[state]) for picture in answer["pictures"]]
        assert drawn == [image.tobytes() for image in images], state


def test_a_switched_off_concept_draws_only_the_pictures_after(page, offer, tmp_path):
    page.found("church", "cat")
    first = page.draw(strengths=ON).json()
    page.ended(first["job"])
    calls = []
    handle = offer.pipe.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    second = page.draw(strengths={"church": 0.5}, agnostic_ratio=2).json()
    result = page.ended(second["job"])["result"]
    assert len(calls) == 2  # one batch of two steps
    again = page.ended(page.draw(strengths=ON).json()["job"])
    assert again["state"] == "done"
    assert len(calls) == 2
    handle.remove()
    for one, two in zip(first["pictures"], second["pictures"], strict=True):
        assert one["before"] == two["before"]
        assert one["after"] != two["after"]
    page.ended(page.draw(strengths={"church": 0.5}, agnostic_ratio=2).json()["job"])
    mask = saved_mask(page, tmp_path)
    assert mask.concepts == ("church",)
    assert mask.strengths == {"church": 0.5}
    assert mask.number_pruned == result["pruned"]
    assert mask.sparsity == result["sparsity"]


def test_the_facts_are_those_of_the_mask(page, tmp_path):
    found = page.found("church", "cat")
    drawn = page.ended(page.draw(strengths=ON).json()["job"])["result"]
    mask = saved_mask(page, tmp_path)
    assert found["overlap"][0] == pytest.approx([100, found["overlap"][1][0]])
    for i, name in enumerate(mask.concepts):
        for layer in found["layers"]:
            outputs, inputs = mask.shapes[layer["name"]]
            assert layer["shares"][i] == 100 * len(mask.neurons[name][layer["name"]]) / (outputs * inputs)
    assert [layer["label"].split()[0] for layer in found["layers"]] == [*["down"] * 2, *["mid"] * 2, *["up"] * 4]
    assert (drawn["spared"], drawn["threshold"]) == (mask.number_spared, 2)


def test_with_everything_switched_off_nothing_changes_and_there_is_no_mask(page):
    page.found("church")
    answer = page.draw(strengths={}).json()
    assert page.ended(answer["job"])["state"] == "done"
    for picture in answer["pictures"]:
        assert pixels(page, picture["before"]) == pixels(page, picture["after"])
    refused = page.get("/mask.zip")
    assert refused.status_code == 409
    assert "Switch a concept on" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize("what", ["find", "draw"])
def test_a_cancelled_job_leaves_the_model_as_it_was(page, offer, request, what):
    before = weights(offer)
    if what == "draw":
        page.found("church")
    open_gate = request.getfixturevalue("gate")
    job = page.find("church").json() if what == "find" else page.draw(strengths={"church": 1.0}).json()["job"]
    assert page.post(f"/jobs/{job['id']}/cancel").status_code == 200
    open_gate()
    ended = page.ended(job)
    assert (ended["state"], ended["error"]) == ("cancelled", None)
    assert_untouched(offer, before)
    assert hash_weights(maskable_layers(offer.pipe.unet)) == hash_weights(maskable_layers(tiny_sd().unet))


def test_progress_counts_every_step_of_every_picture(page, monkeypatch):
    page.found("church")
    seen = []
    whole = Job.step
    monkeypatch.setattr(Job, "step", lambda job, done, total: (seen.append((done, total)), whole(job, done, total)))
    page.ended(page.find("church").json())
    assert seen == [(1, 2), (2, 2)]
    seen.clear()
    prompts = [f"cat {i}" for i in range(5)]  # one more than are drawn at a time
    page.ended(page.draw(strengths={"church": 1.0}, prompts=prompts).json()["job"])
    assert seen == [(done, 20) for done in (4, 8, 9, 10, 14, 18, 19, 20)]  # before in two batches, and after


@pytest.mark.parametrize(
    ("form", "field", "message"),
    [
        ({"concepts": []}, "concepts", "No concept was given; name at least one."),
        ({"concepts": [{"name": " "}]}, "concepts", "A concept's name is empty"),
        ({"concepts": [{"name": "cat"}, {"name": " cat\n"}]}, "concepts", "'cat' is given 2 times; name it once"),
        ({"concepts": [{"name": "?!"}]}, "concepts", "'?!' has no letters"),
        ({"concepts": [{"name": "cat", "kind": "mood"}]}, "concepts", "'object', 'style', 'explicit' or 'place'"),
        ({"concepts": [{"name": "a" * 99}]}, "concepts", "has 99 characters; a name has at most 60"),
        ({"concepts": [{"name": f"cat {i}"} for i in range(21)]}, "concepts", "21 names; give at most 20"),
        ({"spatial_ratio": 2}, "spatial_ratio", "Give at most 1.0; 2 was given."),
        ({"spatial_ratio": "much"}, "spatial_ratio", "Give a number; 'much' was given."),
        ({"prompts_per_concept": 0}, "prompts_per_concept", "Give at least 1; 0 was given."),
        ({"model": "/etc"}, "model", "'/etc' is not offered here; this server has tiny."),
        ({"folder": "/etc"}, "folder", "There is no such field"),
        ({"edit": "blur"}, "edit", "Give 'rewrite' or 'zero'; 'blur' was given."),
        ({"keep": [{"name": "Cat"}]}, "keep", "'Cat' cannot be forgotten and kept at once"),
        ({"keep": [{"name": "?!"}]}, "keep", "'?!' has no letters"),
        ({"keep": [{"name": "dog"}], "edit": "zero"}, "keep", "Zeros keep nothing by name"),
    ],
)
def test_what_cannot_be_found_is_refused_beside_its_field(page, form, field, message):
    answer = page.post("/find", **({"model": "tiny", "concepts": [{"name": "cat"}]} | form))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]


@pytest.mark.parametrize(
    ("form", "field", "message"),
    [
        ({"prompts": [" ", ""]}, "prompts", "There is no prompt"),
        ({"prompts": ["a" * 301]}, "prompts", "has 301 characters; a prompt has at most 300"),
        ({"prompts": [str(i) for i in range(13)]}, "prompts", "13 prompts; give at most 12"),
        ({"prompts": [str(i) for i in range(5)], "pictures": 8}, "pictures", "5 prompts with 8 images each"),
        ({"pictures": 0}, "pictures", "Give at least 1; 0 was given."),
        ({"pictures": None}, "pictures", "nothing was given"),
        ({"first_seed": -1}, "first_seed", "Give at least 0"),
        ({"num_inference_steps": 10_000}, "num_inference_steps", "Give at most 200"),
        ({"agnostic_ratio": -1}, "agnostic_ratio", "agnostic_ratio=-1.0; it must be at least 0"),
        ({"strengths": {"church": 0}}, "strengths", "strength 0.0 of 'church' is not in (0, 1]"),
        ({"strengths": {"dog": 1}}, "strengths", "'dog' is not in this mask"),
    ],
)
def test_what_cannot_be_drawn_is_refused_beside_its_field(page, form, field, message):
    page.found("church")
    answer = page.draw(**({"strengths": {"church": 1.0}} | form))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert message in error["message"]


def test_a_prompt_longer_than_the_model_reads_is_refused(page):
    page.found("church")
    job = page.ended(page.draw(strengths={}, prompts=["a" * 47]).json()["job"])  # a token for each letter, and the ends
    assert job["state"] == "failed"
    assert job["error"]["field"] == "prompts"
    assert "is longer than the model's 48 tokens" in job["error"]["message"]
    job = page.ended(page.find("a" * 47).json())
    assert job["error"]["field"] == "concepts"


def test_a_model_that_cannot_be_loaded_says_so_beside_its_name(page, offer):
    offer.pipe = None
    job = page.ended(page.find("church").json())
    assert job["error"]["field"] == "model"
    assert "There is no folder or file 'no such folder'" in job["error"]["message"]


@pytest.mark.usefixtures("any_types")
def test_a_fault_of_the_program_shows_no_trace(page, offer, caplog):
    offer.pipe = object()
    job = page.ended(page.find("church").json())
    assert job["state"] == "failed"
    assert job["error"]["message"].startswith("This is a bug in fia.")
    assert "Traceback" in caplog.text
    offer.pipe = tiny_sd()
    assert page.found("church")


def test_nothing_is_drawn_before_something_was_found(page):
    answer = page.draw(strengths={})
    assert answer.status_code == 409
    assert "Find & forget" in answer.json()["errors"][0]["message"]


def test_what_is_kept_and_which_values_are_given_reach_the_mask(page, tmp_path):
    job = page.ended(page.find("church", keep=[{"name": "cat"}]).json())
    assert job["result"]["form"]["keep"] == [{"name": "cat", "kind": "object"}]
    page.ended(page.draw(strengths={"church": 1.0}).json()["job"])
    kept = saved_mask(page, tmp_path / "rewritten")
    assert kept.provenance[0]["keep"] == [{"name": "cat", "kind": "object"}]
    assert kept.rewriting is not None
    page.ended(page.find("church", edit="zero").json())
    page.ended(page.draw(strengths={"church": 1.0}).json()["job"])
    assert saved_mask(page, tmp_path / "zero").rewriting is None


class Sees:
    """A judge that sees a church in every image, and the prompts' places in none."""

    identity = {"name": "fake", "hash": None}  # noqa: RUF012

    def answer(self, images):
        said = {"subject": "church", "place": "road", "style": "no style", "attribute": "not smoking"}
        return {kind: [word] * len(images) for kind, word in said.items()}


def test_a_judge_says_what_it_sees_in_every_picture_and_in_all_of_them(page, offer):
    offer.judge, offer.known = Sees(), {"object": ("church", "cat")}
    page.ended(page.find("church", keep=[{"name": "cat"}]).json())
    answer = page.draw(strengths={"church": 1.0}, pictures=2).json()
    job = page.ended(answer["job"])
    assert job["ready"] == {picture[state]: "church" for picture in answer["pictures"] for state in ("before", "after")}
    verdict = job["result"]["verdict"]
    assert verdict["sentence"] == "church: gone from 0 of 2 images; cat still there in 0 of 2 (0 before)."
    assert [(row["name"], row["group"]) for row in verdict["rows"]] == [("church", "forgotten"), ("cat", "kept")]
    again = page.ended(page.draw(strengths={"church": 1.0}, pictures=2).json()["job"])
    assert again["ready"] == job["ready"]  # it remembers what it saw
    assert again["result"]["verdict"] == verdict


def test_without_a_judge_there_is_no_verdict(page):
    page.found("church")
    job = page.ended(page.draw(strengths={"church": 1.0}).json()["job"])
    assert set(job["ready"].values()) == {""}
    assert job["result"]["verdict"] is None


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/api/nothing", 404, "There is nothing at this address."),
        ("GET", "/nothing.html", 404, "There is nothing at this address."),
        ("DELETE", "/api/models", 405, "This address does not take such a request."),
        ("POST", "/index.html", 405, "This address does not take such a request."),
        ("POST", "/api/suggestions", 400, "There was an error parsing the body."),
        ("POST", "/api/suggestions", 422, "The request is not JSON"),
    ],
)
def test_every_error_has_the_documented_form(client, method, path, status, message):
    body = {400: b"\xff", 422: b"{"}.get(status)
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert list(answer.json()) == ["errors"]
    (error,) = answer.json()["errors"]
    assert message in error["message"]


def test_names_are_checked_when_they_are_added(page, offer):
    offer.known = {"object": ("church", "cat")}
    form = {"model": "tiny", "concepts": [], "keep": [{"name": "cta"}]}
    answer = page.client.post("/api/suggestions", json=form)
    assert answer.json()["errors"] == [{"field": "keep", "message": "tiny does not know 'cta'. Did you mean cat?"}]
    answer = page.client.post("/api/suggestions", json=form | {"keep": [{"name": "cat"}]})
    assert answer.json()[0] == "a cat in a forest"
