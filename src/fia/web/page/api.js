// Talks to the server. Every error becomes an ApiError with a list of {field, message}.

export class ApiError extends Error {
  constructor(errors, status) {
    super(errors.map((error) => error.message).join(" "));
    this.errors = errors;
    this.status = status;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    const message = "The server does not answer. Is fia serve still running?";
    throw new ApiError([{ field: null, message }], 0);
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const message = `The server answered with the error ${response.status}.`;
    throw new ApiError(body.errors ?? [{ field: null, message }], response.status);
  }
  return body;
}

export const get = (path) => ask(path);
export const post = (path, form = {}) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(form) });

// The session belongs to this tab; it survives a reload. If the server has forgotten it, the page opens a new one.
export class Session {
  static async open() {
    const session = new Session();
    session.token = sessionStorage.getItem("session");
    session.state = null;
    if (session.token) {
      try {
        session.state = await get(session.path(""));
      } catch (error) {
        if (error.status !== 410) throw error;
      }
    }
    if (!session.state) await session.renew();
    return session;
  }

  async renew() {
    this.token = (await post("/api/sessions")).token;
    sessionStorage.setItem("session", this.token);
  }

  path(rest) {
    return `/api/sessions/${this.token}${rest}`;
  }

  picture(key) {
    return this.path(`/pictures/${key}.png`);
  }
}
