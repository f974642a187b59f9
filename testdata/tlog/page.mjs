// Opens a page in a headless Chromium, fills it in as a person would, and tells what it says. Cases come on standard
// input: [{proof, how: "paste" | "drop", key, witnesses, least, older}]; answers go to standard output.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const profile = mkdtempSync(join(tmpdir(), "page-"));
const browser = spawn("chromium-headless-shell", [
  "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
browser.on("error", (error) => { console.error(`chromium-headless-shell: ${error}`); process.exit(1); });

const waiting = new Map();
const seen = { requests: [], dialogs: 0, errors: [] };
let next = 0;
let rest = "";
browser.stdio[4].setEncoding("utf8");
browser.stdio[4].on("data", (data) => {
  const messages = (rest + data).split("\0");
  rest = messages.pop();
  for (const text of messages) {
    const message = JSON.parse(text);
    if (message.id !== undefined) {
      const { yes, no } = waiting.get(message.id);
      waiting.delete(message.id);
      message.error ? no(new Error(JSON.stringify(message.error))) : yes(message.result);
    } else if (message.method === "Network.requestWillBeSent") {
      seen.requests.push(message.params.request.url);
    } else if (message.method === "Page.javascriptDialogOpening") {
      seen.dialogs += 1;
    }
  }
});
function call(method, params = {}, sessionId = undefined) {
  const id = ++next;
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  return new Promise((yes, no) => waiting.set(id, { yes, no }));
}

// Runs in the page.
function fill(test) {
  const set = (id, value) => {
    const field = document.getElementById(id);
    field.value = value ?? "";
    field.dispatchEvent(new Event("input"));
  };
  for (const id of ["key", "witnesses", "least", "older"]) set(id, test[id]);
  if (test.how === "drop") {
    const data = new DataTransfer();
    data.items.add(new File([test.proof], "a.tlog-proof"));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  } else {
    set("proof", test.proof);
  }
}
async function settled() {
  const box = document.getElementById("result");
  for (let tries = 0; tries < 3000 && box.dataset.state === "waiting"; tries += 1) {
    await new Promise((yes) => setTimeout(yes, 10));
  }
  return JSON.stringify({
    state: box.dataset.state, verdict: document.getElementById("verdict").textContent,
    details: document.getElementById("details").textContent, ran: globalThis.ran === undefined ? "" : String(globalThis.ran),
    elements: box.querySelectorAll("*").length,
  });
}

async function main() {
  const page = pathToFileURL(process.argv[2]).href;
  const cases = JSON.parse(readFileSync(0, "utf8"));
  const { targetId } = await call("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
  const run = async (expression) => {
    const { result, exceptionDetails } = await call("Runtime.evaluate", { expression, awaitPromise: true }, sessionId);
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  };
  await call("Page.enable", {}, sessionId);
  await call("Network.enable", {}, sessionId);
  const answers = [];
  for (const test of cases) {
    await call("Page.navigate", { url: page }, sessionId);
    while ((await run("document.readyState")) !== "complete") await new Promise((yes) => setTimeout(yes, 10));
    if (test.before) await run(test.before);
    await run(`(${fill})(${JSON.stringify(test)})`);
    answers.push(JSON.parse(await run(`(${settled})()`)));
  }
  const elsewhere = [...new Set(seen.requests.filter((url) => url !== page))];
  // The page's second line of defence: markup that gets in all the same runs nothing.
  await run(`document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='globalThis.ran=1'><a id=j href='javascript:globalThis.ran=2'>x</a>"), document.getElementById("j").click()`);
  const element = `{ const s = document.createElement("script"); s.textContent = "globalThis.ran = 3"; document.body.append(s); }`;
  await run(element);
  await run("new Promise((yes) => setTimeout(yes, 200))");
  const smuggled = await run("globalThis.ran === undefined ? '' : String(globalThis.ran)");
  console.log(JSON.stringify({ answers, smuggled, elsewhere, dialogs: seen.dialogs }));
}

main().then(() => 0, (error) => { console.error(error); return 1; }).then((status) => {
  browser.kill("SIGKILL");
  browser.on("exit", () => { rmSync(profile, { recursive: true, force: true, maxRetries: 5 }); process.exit(status); });
});
