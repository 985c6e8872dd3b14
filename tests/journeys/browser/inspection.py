"""What every page is held to, read off the page in the browser (WCAG 2.2 AA, RGAA 4.1)."""

from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

RULES = {
    "runOnly": [
        "wcag2a",
        "wcag2aa",
        "wcag21a",
        "wcag21aa",
        "wcag22aa",
        "best-practice",
    ],
    "resultTypes": ["violations"],
}
STEPS_AT_MOST = 300

# What a keyboard must reach: all that can be acted on and is shown. Of radio buttons that share a
# name the keyboard reaches one, and the arrows the rest.
REACHABLE = """
() => {
  const shown = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length > 0;
  const radios = new Set();
  let number = 0;
  for (const e of document.querySelectorAll('a[href], button, input, select, textarea, summary')) {
    if (e.disabled || e.type === 'hidden' || e.tabIndex < 0 || !shown(e)) continue;
    if (e.type === 'radio') {
      const group = (e.form ? e.form.action : '') + e.name;
      if (radios.has(group)) continue;
      radios.add(group);
    }
    e.dataset.step = String(number++);
  }
  return number;
}
"""
# Where the focus is, whether it can be seen there, and whether something lies over it.
FOCUSED = """
() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const rings = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  // A card that is a link as a whole shows the ring around itself.
  const outlined = rings(getComputedStyle(e)) || rings(getComputedStyle(e, '::after')) ||
      Boolean(e.closest('li') && rings(getComputedStyle(e.closest('li'))));
  const box = e.getBoundingClientRect();
  const x = Math.min(Math.max(box.left + Math.min(box.width / 2, 12), 0), innerWidth - 1);
  const y = Math.min(Math.max(box.top + box.height / 2, 0), innerHeight - 1);
  const top = document.elementFromPoint(x, y);
  const related = top && (e === top || e.contains(top) || top.contains(e) ||
      (e.labels && [...e.labels].some(label => label.contains(top))));
  return {step: e.dataset.step ?? '', name: (e.outerHTML || '').slice(0, 120),
          outlined, uncovered: Boolean(related)};
}
"""
WIDEST = """
() => {
  const limit = document.documentElement.clientWidth;
  const wide = [...document.body.querySelectorAll('*')].filter(e => {
    const box = e.getBoundingClientRect();
    if (box.width === 0 || box.right <= limit + 1) return false;
    for (let p = e.parentElement; p; p = p.parentElement) {
      if (getComputedStyle(p).overflowX !== 'visible') return false;
    }
    return true;
  });
  return {overflow: document.documentElement.scrollWidth - limit,
          culprits: wide.slice(0, 3).map(e => e.outerHTML.slice(0, 120))};
}
"""
# A link within a sentence is as high as its line, which the criterion allows.
SMALL_TARGETS = """
() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')]
  .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest('p, dd, li small'))
  .filter(e => getComputedStyle(e).display !== 'inline' ||
      ![...e.parentElement.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .filter(e => !e.classList.contains('skip'))
  .filter(e => { const b = e.getBoundingClientRect();
                 const l = e.labels && e.labels[0] ? e.labels[0].getBoundingClientRect() : b;
                 return b.width > 0 && Math.max(b.height, l.height) < 24; })
  .map(e => e.outerHTML.slice(0, 120))
"""


async def axe_violations(page: Page) -> list[str]:
    """Return what axe-core finds, one line for each element."""
    results = await Axe().run(page, options=RULES)
    found: list[dict[str, Any]] = results.response["violations"]
    return [
        f"{violation['id']}: {node['html'][:160]} ({node.get('failureSummary', '')[:200]})"
        for violation in found
        for node in violation["nodes"]
    ]


async def sideways(page: Page) -> list[str]:
    """Return what makes the page scroll sideways (WCAG 1.4.10)."""
    found = await page.evaluate(WIDEST)
    return found["culprits"] or ["the page"] if found["overflow"] > 0 else []


async def small_targets(page: Page) -> list[str]:
    """Return what is too small to touch: under 24 pixels high (WCAG 2.5.8)."""
    found: list[str] = await page.evaluate(SMALL_TARGETS)
    return found


async def keyboard_problems(page: Page) -> list[str]:
    """Walk the page with the Tab key; return what is not reached, or not seen when it is."""
    expected = {str(number) for number in range(await page.evaluate(REACHABLE))}
    reached: set[str] = set()
    problems: list[str] = []
    await page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
    last = ""
    for _ in range(STEPS_AT_MOST):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(FOCUSED)
        if focused is not None and focused["step"] == last:
            # A date has several stops of its own.
            continue
        if focused is None or focused["step"] in reached:
            break
        last = focused["step"]
        reached.add(last)
        if not focused["outlined"]:
            problems.append(f"focus not shown: {focused['name']}")
        if not focused["uncovered"]:
            problems.append(f"focus hidden behind something: {focused['name']}")
    if expected - reached:
        problems.append(f"not reached by Tab: {sorted(expected - reached)} of {len(expected)}")
    return problems
