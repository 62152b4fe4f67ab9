// What pages do in the browser, without asking the server.
window.dash_clientside = Object.assign({}, window.dash_clientside, {
    limbeck: {
        // Light or dark: as the visitor chose last, else as the system is.
        chooseTheme: function (clicks, chosen) {
            const system = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
            let theme = chosen || system;
            if (clicks) {
                theme = theme === "dark" ? "light" : "dark";
            }
            document.documentElement.dataset.theme = theme;
            document.documentElement.dataset.agThemeMode = theme;
            return [clicks ? theme : window.dash_clientside.no_update, theme];
        },
    },
});
