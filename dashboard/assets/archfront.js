// What only the browser can do: know its colour scheme, and save a file.
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.archfront = {
  theme: function () {
    return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  },
  download: async function (clicks, address) {
    if (!clicks) return window.dash_clientside.no_update;
    const say = (text) => window.dash_clientside.set_props("export-state", { children: text });
    const busy = (on) => window.dash_clientside.set_props("export", { disabled: on });
    say("converting and checking …");
    busy(true);
    try {
      const response = await fetch(address);
      if (!response.ok) {
        const found = await response.json().catch(() => ({ detail: "the server failed" }));
        return "not exported: " + found.detail;
      }
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await response.blob());
      const name = /filename="?([^";]+)/.exec(response.headers.get("Content-Disposition") || "");
      link.download = name ? name[1] : "export.zip";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      return "saved " + link.download;
    } catch (error) {
      return "not exported: " + error.message;
    } finally {
      busy(false);
    }
  },
};
