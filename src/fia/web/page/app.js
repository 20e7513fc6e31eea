// The page: connects its parts.

import { ApiError, Session, get, post } from "./api.js";
import { showLayers, showNumbers, showOverlap } from "./charts.js";
import { byId, clearError, clearErrors, make, notice, say, showErrors } from "./dom.js";
import { Form } from "./form.js";
import { Pictures } from "./pictures.js";
import { follow } from "./progress.js";
import { Switches } from "./switches.js";
import { showVerdict } from "./verdict.js";

const equal = (one, two) => JSON.stringify(one) === JSON.stringify(two);

class Page {
  constructor(session, models) {
    this.session = session;
    this.found = null;
    this.drawn = null; // the form of the images that the page shows
    this.isFinding = false;
    this.form = new Form(models, () => this.formChanged());
    this.switches = new Switches(() => this.draw());
    this.pictures = new Pictures(session);
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.find();
    });
    byId("draw").addEventListener("click", () => this.draw());
    byId("control").addEventListener("change", () => this.draw());
    byId("agnostic_ratio").addEventListener("input", () => clearError("agnostic_ratio"));
    byId("agnostic_ratio").addEventListener("change", () => this.draw());
    this.form.restore();
    this.formChanged();
  }

  // Shows what fits the form as it is now: the examples, and whether the images are older than the form.
  formChanged() {
    byId("examples").replaceChildren(...this.form.examples.map((example) => this.example(example)));
    byId("stale").textContent = this.staleness();
    byId("stale").hidden = !byId("stale").textContent;
    byId("compare").classList.toggle("is-stale", !byId("stale").hidden);
  }

  // Says why the images are older than the form. Returns an empty text if they are not.
  staleness() {
    if (!this.found) return "";
    const names = this.found.concepts.map(({ name }) => name).join(", ");
    if (!equal(this.form.whatToFind(), this.found.form)) {
      return `The form has changed since ${names} ${this.found.concepts.length > 1 ? "were" : "was"} found. These images are old: press Find & forget again.`;
    }
    if (!this.drawn) return "";
    const { prompts, pictures, first_seed, num_inference_steps } = this.drawn;
    const shown = { prompts, pictures, first_seed, num_inference_steps };
    return equal(this.form.whatToDraw(), shown) ? "" : "The form has changed. These images are old: press Generate these.";
  }

  example({ concepts, keep }) {
    const names = (items) => items.map(({ name }) => name).join(" and ");
    const { kind } = concepts[0];
    const note = keep.length ? `and keep ${names(keep)}` : { object: "an object", style: "a style", explicit: "explicit content", place: "a place" }[kind];
    const button = make("button", { type: "button" }, make("b", { text: `Forget ${names(concepts)}` }));
    button.append(make("small", { text: concepts.length > 1 ? "two objects at once" : note }));
    button.addEventListener("click", async () => {
      await this.form.fill({ concepts, keep });
      this.find();
    });
    return make("li", {}, button);
  }

  async find() {
    if (this.isFinding) return;
    this.form.take();
    clearErrors();
    const form = this.form.finding();
    if (!form) return;
    this.setFinding(true);
    const job = await this.start("/find", form);
    this.setFinding(false);
    if (job?.state === "done") await this.findingDone(job.result);
  }

  async findingDone(found) {
    await this.form.suggest();
    this.showFound(found);
    await this.draw(true);
  }

  // Generates the images that the form asks for. If they are the first ones and out of sight, scrolls to them.
  async draw(isFirst = false) {
    if (!this.found || this.isFinding) return;
    clearErrors();
    const form = this.form.drawing();
    if (!form || !this.form.check(["agnostic_ratio"])) return;
    const changes = {
      strengths: this.switches.strengths(),
      agnostic_ratio: Number(byId("agnostic_ratio").value),
      control: byId("control").checked,
    };
    await this.generate({ ...form, ...changes }, isFirst);
  }

  async generate(form, isFirst = false) {
    const forgotten = Object.keys(form.strengths);
    const job = await this.start("/draw", form, (reply) => {
      this.drawn = form;
      this.formChanged();
      this.pictures.plan(reply.pictures);
      this.pictures.mark(forgotten);
      byId("compare").hidden = false;
      const isOutOfSight = byId("compare").getBoundingClientRect().top > innerHeight / 2;
      if (isFirst && isOutOfSight) byId("compare").scrollIntoView();
      return reply.job;
    });
    if (job?.state === "done") this.showFused(job.result, forgotten);
    else if (job) showVerdict(null); // there are no images for it
  }

  // Starts a job, follows it to its end and shows its errors. Returns the job, or null if it never ended.
  async start(path, form, jobOf = (reply) => reply) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    byId("results").setAttribute("aria-busy", "true");
    try {
      const reply = await this.post(path, form);
      if (turn !== this.turn) return null; // a newer job was started meanwhile
      const first = jobOf(reply);
      return this.end(await follow(this.session, first, (job) => this.pictures.ready(job.ready)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showErrors(error.errors);
      return null;
    } finally {
      if (turn === this.turn) byId("results").removeAttribute("aria-busy");
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
    byId("unchecked").hidden = !found.is_unchecked;
    const nothing = found.concepts.filter((concept) => !concept.neurons).map((concept) => concept.name);
    if (nothing.length) {
      const names = nothing.join(", ");
      const message = `No connection answers to ${names} more than to prompts without it; there is nothing to change.`;
      showErrors([{ field: "concepts", message }]);
    }
    showOverlap(found);
    this.formChanged();
  }

  showFused(fused, forgotten) {
    byId("mask").hidden = byId("where").hidden = false;
    showVerdict(fused.verdict);
    if (fused.verdict?.sentence) say(fused.verdict.sentence);
    showNumbers(fused, this.found.form.edit);
    showLayers(this.found, fused, forgotten);
    const download = byId("download");
    if (forgotten.length) download.href = this.session.path("/mask.zip");
    else download.removeAttribute("href");
  }

  // Shows again what the page showed before it was reloaded, and follows the job that still runs.
  async restore({ found, drawn, job }) {
    if (found) this.showFound(found, drawn);
    if (found && drawn) {
      byId("control").checked = drawn.control;
      await this.generate(drawn);
    } else if (job) {
      this.setFinding(true);
      const ended = this.end(await follow(this.session, job));
      this.setFinding(false);
      if (ended?.state === "done") await this.findingDone(ended.result);
    }
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
