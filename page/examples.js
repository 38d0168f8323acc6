// Buttons that put one of the synthetic examples into the place of a recording.
// Runs with `element` and `props` of gradio's HTML component; props.paths has the file of each name, on gradio's server or beside the page.

const root = element.querySelector(".examples");

translateStatics(root);
root.querySelector(".examples-buttons").replaceChildren(
  ...Object.entries(props.paths).map(([name, path]) => {
    const label = texts[`example_${name}`] ?? fill(texts.example_asked, { emotion: nameOf(name) });
    const button = makeElement("button", { type: "button", className: "pill", textContent: label });
    button.addEventListener("click", () => tellRecording("example", describeFile(path)));
    return button;
  }),
);

function describeFile(path) {
  const { root: address, api_prefix } = window.gradio_config ?? {};
  return {
    path,
    url: address === undefined ? path : `${address}${api_prefix}/file=${path}`,
    orig_name: path.split("/").at(-1),
    meta: { _type: "gradio.FileData" },
  };
}
