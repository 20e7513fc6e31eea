// The page: connects its parts.

import { ApiError, Session, get, post } from "./api.js";
import { showLayers, showNumbers, showOverlap } from "./charts.js";
import { Chips } from "./chips.js";
import { byId, clearErrors, notice, say, showErrors } from "./dom.js";
import { Pictures } from "./pictures.js";
import { follow } from "./progress.js";
import { Switches } from "./switches.js";

const number = (id) => (byId(id).value === "" ? NaN : Number(byId(id).value));

class Page {
  constructor(session, models) {
    this.session = session;
    this.models = models;
    this.found = null;
    this.promptsEdited = false;
    this.isFinding = false;
    this.chips = new Chips(() => this.suggest());
    this.switches = new Switches(() => this.draw());
    this.pictures = new Pictures(session);
    byId("model").replaceChildren(...models.map(({ name }) => new Option(name, name)));
    byId("model").addEventListener("change", () => this.chooseModel());
    byId("prompts").addEventListener("input", () => (this.promptsEdited = byId("prompts").value.trim() !== ""));
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.find();
    });
    byId("draw").addEventListener("click", () => this.draw());
    byId("control").addEventListener("change", () => this.draw());
    byId("agnostic_ratio").addEventListener("change", () => this.draw());
    this.chooseModel();
  }

  chooseModel() {
    const model = this.models.find(({ name }) => name === byId("model").value);
    const ratio = model.spatial_ratio; // null: the server takes what is recommended for the concepts
    byId("spatial_ratio").value = ratio === null ? "" : Number((100 * ratio).toPrecision(4));
    byId("prompts_per_concept").value = model.prompts_per_concept;
    byId("num_inference_steps").value = model.num_inference_steps;
    this.chips.offer(model.known);
  }

  // Fills in prompts for the concepts, unless the person wrote some. Replies may overtake each other; the reply to the
  // last question counts.
  async suggest() {
    if (this.promptsEdited) return;
    const suggestion = (this.suggestion = (this.suggestion ?? 0) + 1);
    const form = { model: byId("model").value, concepts: this.chips.items };
    const prompts = form.concepts.length ? await post("/api/suggestions", form).catch(() => null) : [];
    if (!prompts || this.promptsEdited || suggestion !== this.suggestion) return;
    byId("prompts").value = prompts.join("\n");
  }

  async find() {
    if (this.isFinding) return;
    this.chips.take();
    clearErrors();
    const ratio = number("spatial_ratio") / 100;
    const form = { model: byId("model").value, concepts: this.chips.items };
    this.setFinding(true);
    const job = await this.start("/find", { ...form, ...this.numbers("prompts_per_concept"), spatial_ratio: ratio });
    this.setFinding(false);
    if (job?.state !== "done") return;
    await this.suggest();
    this.showFound(job.result);
    this.draw(true);
  }

  // Generates the images that the form asks for. If they are the first ones and out of sight, scrolls to them.
  async draw(isFirst = false) {
    if (!this.found || this.isFinding) return;
    clearErrors();
    const strengths = this.switches.strengths();
    const form = {
      prompts: byId("prompts").value.split("\n"),
      pictures: number("pictures_each"),
      ...this.numbers("first_seed", "num_inference_steps", "agnostic_ratio"),
      strengths,
      control: byId("control").checked,
    };
    const job = await this.start("/draw", form, (reply) => {
      this.pictures.plan(reply.pictures);
      this.pictures.mark(Object.keys(strengths));
      byId("compare").hidden = false;
      const isOutOfSight = byId("compare").getBoundingClientRect().top > innerHeight / 2;
      if (isFirst && isOutOfSight) byId("compare").scrollIntoView();
      return reply.job;
    });
    if (job?.state === "done") this.showFused(job.result, Object.keys(strengths));
  }

  // Starts a job, follows it to its end and shows its errors. Returns the job, or null if it never ended.
  async start(path, form, jobOf = (reply) => reply) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    try {
      const reply = await this.post(path, form);
      if (turn !== this.turn) return null; // a newer job was started meanwhile
      const first = jobOf(reply);
      return this.end(await follow(this.session, first, (job) => this.pictures.ready(job.ready)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showErrors(error.errors);
      return null;
    }
  }

  // Says how a job ended.
  end(job) {
    if (!job) return null;
    if (job.state === "failed") showErrors([job.error]);
    if (job.state !== "done") this.pictures.giveUp();
    if (job.state === "cancelled") notice("Cancelled. The model is as it was.");
    if (job.state === "done") say("Done.");
    return job;
  }

  async post(path, form) {
    try {
      return await post(this.session.path(path), form);
    } catch (error) {
      if (error.status !== 410) throw error;
      await this.session.renew();
      if (path === "/find") return post(this.session.path(path), form);
      const message = `${error.message} Press Find & forget again.`;
      throw new ApiError([{ field: null, message }], error.status);
    }
  }

  numbers(...ids) {
    return Object.fromEntries(ids.map((id) => [id, number(id)]));
  }

  setFinding(isFinding) {
    this.isFinding = isFinding;
    byId("find").setAttribute("aria-disabled", String(isFinding));
  }

  showFound(found, drawn = null) {
    this.found = found;
    byId("empty").hidden = true;
    byId("draw").hidden = false;
    this.switches.show(found.concepts, drawn?.strengths);
    byId("agnostic_ratio").value = drawn?.agnostic_ratio ?? found.agnostic_ratio;
    const nothing = found.concepts.filter((concept) => !concept.neurons).map((concept) => concept.name);
    if (nothing.length) {
      const names = nothing.join(", ");
      const message = `No connection answers to ${names} more than to prompts without it; there is nothing to prune.`;
      showErrors([{ field: "concepts", message }]);
    }
    showOverlap(found);
  }

  showFused(fused, forgotten) {
    byId("mask").hidden = byId("where").hidden = false;
    showNumbers(fused);
    showLayers(this.found, fused, forgotten);
    const download = byId("download");
    if (forgotten.length) download.href = this.session.path("/mask.zip");
    else download.removeAttribute("href");
  }

  // Shows again what the page showed before it was reloaded.
  async restore({ found, drawn, job }) {
    if (found) {
      byId("model").value = found.model;
      this.chooseModel();
      this.chips.replace(found.concepts);
      await this.restoreDrawn(found, drawn);
    }
    if (!job || drawn) return;
    this.setFinding(true);
    const ended = this.end(await follow(this.session, job));
    this.setFinding(false);
    if (ended?.state !== "done") return;
    this.chips.replace(ended.result.concepts);
    await this.suggest();
    this.showFound(ended.result);
    this.draw();
  }

  async restoreDrawn(found, drawn) {
    if (drawn) {
      byId("prompts").value = drawn.prompts.join("\n");
      this.promptsEdited = true;
      byId("pictures_each").value = drawn.pictures;
      byId("control").checked = drawn.control;
      for (const id of ["first_seed", "num_inference_steps"]) byId(id).value = drawn[id];
    } else {
      await this.suggest();
    }
    this.showFound(found, drawn);
    if (drawn) this.draw();
  }
}

try {
  const [session, models] = await Promise.all([Session.open(), get("/api/models")]);
  const page = new Page(session, models);
  if (session.state) await page.restore(session.state);
} catch (error) {
  if (!(error instanceof ApiError)) throw error;
  showErrors(error.errors);
}
