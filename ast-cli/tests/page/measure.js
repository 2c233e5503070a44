// Looks at a page as a browser shows it, and writes what it finds into the title: sizes, broken pictures, contrast.
addEventListener("load", () => {
  // A window has at least 500 pixels, a phone fewer.
  const width = innerWidth <= 500 ? 360 : innerWidth;
  document.body.style.width = `${width}px`;
  const channels = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) && !element.closest("style,script,.matrix td"));
  // WCAG 2: the contrast of text is at least 4.5.
  const contrast = (element) => {
    const style = getComputedStyle(element);
    const text = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [luminance(channels(text)), luminance(behind(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const worst = texts.reduce((least, element) => Math.min(least, contrast(element)), 21);
  const broken = [...document.images].filter((image) => (image.loading = "eager") && image.complete && !image.naturalWidth).length;
  document.title = [
    `width ${width}`,
    `overflow ${Math.max(0, document.body.scrollWidth - width)}`,
    `broken ${broken}`,
    `texts ${texts.length}`,
    `contrast ${worst.toFixed(2)}`,
    `dark ${luminance(behind(document.body)) < 0.2}`,
  ].join(", ");
});
