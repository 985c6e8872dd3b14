// Asks how a payment ended while the page stays as it is: nothing that is read moves or loads again
// (WCAG 2.2, 2.2.1). When the answer is another one, the page that tells it is opened.
const MOST_FAILURES = 5;

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const outcome = document.querySelector("[data-following]");

let { following, seconds } = outcome.dataset;
let failures = 0;
while (following && failures < MOST_FAILURES) {
  await pause(Number(seconds));
  try {
    const answer = await fetch(following);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector(".outcome");
    if (!answer.ok || !next) throw new Error(String(answer.status));
    if (!next.dataset.following) break;
    ({ following, seconds } = next.dataset);
  } catch {
    // The network comes and goes on telephones: the same question again, a few times.
    failures += 1;
  }
}
location.replace(following);
