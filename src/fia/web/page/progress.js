// Follows a job: shows its progress, and cancels it if the person asks.

import { get, post } from "./api.js";
import { byId, say } from "./dom.js";

const PAUSE = 300; // milliseconds between two questions
let followed = null; // the newest job; the page follows no other

byId("cancel").addEventListener("click", async () => {
  if (!followed) return;
  byId("cancel").textContent = "Cancelling…";
  await post(`${followed.path}/cancel`).catch(() => {});
});

// Follows a job until it ends and returns it. Returns null if a newer job was started.
export async function follow(session, job, onTick = () => {}) {
  const own = { path: session.path(`/jobs/${job.id}`), said: "" };
  followed = own;
  byId("cancel").textContent = "Cancel";
  while (followed === own) {
    onTick(job);
    if (!["queued", "running"].includes(job.state)) {
      end();
      return job;
    }
    show(job, own);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (followed !== own) break;
    try {
      job = await get(own.path);
    } catch (error) {
      if (followed !== own) break;
      if (error.status !== 0) {
        end();
        throw error;
      }
      byId("progress-text").textContent = `${error.message} Trying again…`;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
  return null;
}

function end() {
  followed = null;
  if (document.activeElement === byId("cancel")) byId("results").focus({ preventScroll: true });
  byId("progress").hidden = true;
}

function show(job, own) {
  const bar = byId("progress-bar");
  let text = job.what;
  if (job.state === "queued") {
    text = job.ahead > 1 ? `Waiting for ${job.ahead} other jobs` : "Waiting for one other job";
    if (!job.ahead) text = "Starting";
  }
  if (own.said !== text) say(text);
  own.said = text;
  if (job.state === "running" && job.total) {
    bar.value = job.done / job.total;
    text += `: ${Math.floor((100 * job.done) / job.total)}\u00a0%`;
    if (job.seconds_left != null) text += `, about\u00a0${duration(job.seconds_left)}\u00a0left`;
  } else {
    bar.removeAttribute("value");
  }
  byId("progress-text").textContent = text;
  byId("progress").hidden = false;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))}\u00a0s`;
  return `${Math.round(seconds / 60)} min`;
}
