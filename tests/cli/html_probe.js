// What is wrong with a page, as a list of sentences. Evaluated in the page by html.rs.
(() => {
  const problems = [];
  const say = (problem, element) => {
    const text = element ? `: <${element.tagName.toLowerCase()} class="${element.getAttribute('class') ?? ''}"> ${element.textContent.trim().slice(0, 60)}` : '';
    problems.push(problem + text);
  };
  for (const details of document.querySelectorAll('details')) details.open = true;

  const root = document.documentElement;
  const width = root.clientWidth;
  if (root.scrollWidth > width) say(`too wide: ${root.scrollWidth} of ${width} pixels`);
  const all = [...document.querySelectorAll('body *')];
  for (const element of all) {
    const box = element.getBoundingClientRect();
    if (element.closest('svg') || element.classList.contains('unseen') || box.width === 0) continue;
    if (box.right > width + 0.5 || box.left < -0.5) say('too wide: outside of the window', element);
    const style = getComputedStyle(element);
    if (style.overflowX !== 'visible' && element.scrollWidth > element.clientWidth + 1) say('is cut', element);
    if (style.overflowY !== 'visible' && element.scrollHeight > element.clientHeight + 1) say('is cut', element);
  }

  // The picture.
  for (const svg of document.querySelectorAll('svg')) {
    if (!svg.getAttribute('aria-label')) say('a picture without words', svg);
    const frame = svg.getBoundingClientRect();
    if (frame.width < width / 2 || frame.height < 40) say('has no size', svg);
    const shapes = [...svg.querySelectorAll('rect, line, text, circle')];
    if (shapes.length < 5) say('an empty picture', svg);
    for (const shape of shapes) {
      const box = shape.getBoundingClientRect();
      const sizes = shape.tagName === 'line' ? box.width + box.height : Math.min(box.width, box.height);
      if (!(sizes > 0)) say('has no size', shape);
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) {
        say('outside of the picture', shape);
      }
    }
    const texts = [...svg.querySelectorAll('text')];
    for (const [at, one] of texts.entries()) {
      for (const other of texts.slice(at + 1)) {
        const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 3) say(`lies on "${other.textContent}"`, one);
      }
    }
  }

  // Contrast, as WCAG counts it.
  const numbers = colour => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = colour => {
    const [r, g, b] = numbers(colour).map(part => part / 255).map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      const parts = numbers(colour);
      if (parts.length === 3 || parts[3] === 1) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const hasText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  for (const element of all) {
    if (!hasText(element) || element.classList.contains('unseen') || element.tagName === 'title') continue;
    const style = getComputedStyle(element);
    const inPicture = element.closest('svg');
    // Squares in a legend are no text, and a number in an area stands on the area.
    if (inPicture && element.classList.contains('key')) continue;
    const area = element.classList.contains('part') ? element.previousElementSibling : null;
    const [front, back] = [inPicture ? style.fill : style.color, area ? getComputedStyle(area).fill : behind(element)];
    const found = ratio(front, back);
    if (found < 4.5) say(`contrast of ${found.toFixed(1)} between ${front} and ${back}`, element);
  }
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  if (dark !== luminance(behind(document.body)) < 0.1 && !matchMedia('print').matches) say('the wrong background');

  // For who does not see the page.
  if (!root.lang) say('no language');
  if (document.querySelectorAll('h1').length !== 1) say('not one title');
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say('a heading too deep', heading);
    level = next;
  }
  for (const table of document.querySelectorAll('table')) {
    if (![...table.querySelectorAll('thead th')].every(head => head.scope === 'col')) say('a table without headers', table);
  }
  for (const summary of document.querySelectorAll('details > summary')) {
    if (!summary.textContent.trim()) say('nothing to click on', summary);
  }

  // Only what we have put there.
  for (const element of document.querySelectorAll('script, iframe, img, a, form, input, object, embed, link, base')) say('an element that should not be there, such as a script', element);
  for (const element of document.querySelectorAll('*')) {
    for (const name of element.getAttributeNames()) if (name.startsWith('on')) say('an attribute that runs something', element);
  }
  return problems.slice(0, 20);
})()
