// Study page: what is selected, and showing it in all panels, without asking the server.
(function () {
    const clientside = window.dash_clientside;
    const LONGEST = 1200; // Letters of run numbers in an address, from which on they are packed.
    let shownRows = null; // Numbers of the runs that the table shows; null for all.
    let stamp = 0;
    let revision = 0;

    function ranges(numbers) {
        const parts = [];
        for (let i = 0; i < numbers.length; i += 1) {
            const first = numbers[i];
            while (numbers[i + 1] === numbers[i] + 1) {
                i += 1;
            }
            parts.push(first === numbers[i] ? `${first}` : `${first}-${numbers[i]}`);
        }
        return parts.join(".");
    }

    function pack(numbers) {
        const bytes = new Uint8Array(((numbers.at(-1) || 0) >> 3) + 1);
        numbers.forEach((number) => { bytes[number >> 3] |= 1 << (number & 7); });
        const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
        return `~${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
    }

    function written(numbers) {
        const text = ranges(numbers);
        return text.length > LONGEST ? pack(numbers) : text;
    }

    function read(text) {
        const numbers = [];
        if (text.startsWith("~")) {
            let bytes = "";
            try {
                bytes = atob(text.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
            } catch {
                return numbers;
            }
            for (let i = 0; i < 8 * bytes.length; i += 1) {
                if (bytes.charCodeAt(i >> 3) & (1 << (i & 7))) {
                    numbers.push(i);
                }
            }
            return numbers;
        }
        for (const part of text.split(".")) {
            const match = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(part);
            const last = match && Number(match[2] || match[1]);
            for (let i = match ? Number(match[1]) : 1; match && i <= last; i += 1) {
                numbers.push(i);
            }
        }
        return numbers;
    }

    // Plotly sends numbers in base64; this returns them, or the array that was sent as such.
    function listed(values) {
        if (!values || values.bdata === undefined) {
            return values;
        }
        const kinds = {
            i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array,
            u4: Uint32Array, f4: Float32Array, f8: Float64Array,
        };
        const bytes = Uint8Array.from(atob(values.bdata), (letter) => letter.charCodeAt(0));
        return Array.from(new kinds[values.dtype](bytes.buffer));
    }

    function selection(numbers, from) {
        const runs = Array.from(new Set(numbers)).sort((a, b) => a - b);
        stamp += 1;
        return runs.length ? { runs, from, stamp } : null;
    }

    // Run numbers of the lines that the brushes of parallel coordinates let through.
    function brushed() {
        const place = document.querySelector("#study-parallel .js-plotly-plot");
        const trace = place && place.data && place.data[0];
        if (!trace || !trace.dimensions) {
            return null;
        }
        const brushes = trace.dimensions
            .filter((dimension) => dimension.constraintrange && dimension.constraintrange.length)
            .map(({ constraintrange, values }) => ({
                parts: Array.isArray(constraintrange[0]) ? constraintrange : [constraintrange],
                values: listed(values),
            }));
        if (!brushes.length) {
            return null;
        }
        return listed(trace.customdata).filter((_, i) => brushes.every(({ parts, values }) => (
            parts.some(([low, high]) => low <= values[i] && values[i] <= high))));
    }

    // Wait until the browser has painted what it already knows, and the table the rows that it made
    // of that, a frame later; in a hidden tab it never paints.
    function afterPaint(value) {
        return new Promise((resolve) => {
            const wait = (frames) => requestAnimationFrame(() => (
                frames ? wait(frames - 1) : setTimeout(resolve, 0, value)));
            wait(2);
            setTimeout(resolve, 1000, value);
        });
    }

    function ofPoints(data) {
        return (data ? data.points : [])
            .filter((point) => Array.isArray(point.customdata))
            .map((point) => point.customdata[0]);
    }

    Object.assign(clientside.limbeck, {
        passOn: (pulse, own) => (pulse && pulse !== own ? pulse : clientside.no_update),

        afterPainting(drawn, pulse, before) {
            if (!drawn || before === pulse) {
                return clientside.no_update;
            }
            return afterPaint(pulse);
        },

        // Whoever changed last says which runs are selected.
        select(_study, frontier, history, _brush, rows, _clear, before) {
            const [source] = clientside.callback_context.triggered.map((each) => each.prop_id);
            const from = before ? before.from : null;
            switch (source) {
            case "study-frontier.selectedData":
            case "study-history.selectedData": {
                const name = source.slice("study-".length, source.indexOf("."));
                const data = name === "frontier" ? frontier : history;
                const chosen = selection(ofPoints(data), name);
                // Plotly also tells of no points when it draws anew; a visitor's own box has ends.
                const emptied = from === name && (!data || data.range || data.lassoPoints);
                return chosen || emptied ? chosen : clientside.no_update;
            }
            case "study-parallel.restyleData": {
                const runs = brushed();
                return runs || from === "parallel" ? selection(runs || [], "parallel") : clientside.no_update;
            }
            case "study-runs.selectedRows": {
                const chosen = selection((rows || []).map((row) => row.run), "table");
                return chosen || from === "table" ? chosen : clientside.no_update;
            }
            case "study-clear.n_clicks":
                return null;
            default: {
                shownRows = null;
                const text = new URLSearchParams(window.location.search).get("selected");
                return text ? selection(read(text), "address") : null;
            }
            }
        },

        // Dim the markers of runs that are not selected.
        showInPoints(drawn, selected) {
            const { outputs_list: { id }, triggered } = clientside.callback_context;
            const mine = selected && id === `study-${selected.from}`;
            // A figure dims what a box or lasso in itself leaves out.
            if (!drawn || (mine && triggered.every((each) => each.prop_id === "selection.data"))) {
                return clientside.no_update;
            }
            // The box or lasso stays in the figure that it was drawn in.
            const place = document.querySelector(`#${id} .js-plotly-plot`);
            const selections = (mine && place && place.layout && place.layout.selections) || [];
            const runs = selected && new Set(selected.runs);
            const indexes = (trace) => trace.customdata.reduce((found, entry, i) => {
                if (runs.has(entry[0])) {
                    found.push(i);
                }
                return found;
            }, []);
            const data = drawn.data.map((trace) => (Array.isArray(trace.customdata)
                ? { ...trace, selectedpoints: runs ? indexes(trace) : null } : trace));
            // Dash gives a figure back to plotly after each box or lasso, which would draw it anew
            // if it did not see that its data are still the same.
            revision += 1;
            const layout = {
                ...drawn.layout, selections, selectionrevision: stamp, datarevision: revision,
            };
            // The rows come first: drawing again may take longer.
            return afterPaint({ ...drawn, data, layout });
        },

        // Leave only the selected lines, unless they were brushed here.
        showInLines(drawn, selected) {
            const { triggered } = clientside.callback_context;
            const own = selected && selected.from === "parallel";
            if (!drawn || (own && triggered.every((each) => each.prop_id === "selection.data"))) {
                return [clientside.no_update, own ? "" : clientside.no_update];
            }
            const [trace] = drawn.data;
            if (!selected || own || !trace || !trace.dimensions) {
                return [drawn, ""];
            }
            const runs = new Set(selected.runs);
            const kept = listed(trace.customdata).map((number) => runs.has(number));
            const keep = (values) => listed(values).filter((_, i) => kept[i]);
            const lines = {
                ...trace,
                customdata: keep(trace.customdata),
                line: { ...trace.line, color: keep(trace.line.color) },
                dimensions: trace.dimensions.map((each) => ({ ...each, values: keep(each.values) })),
            };
            const count = lines.customdata.length;
            const note = `${count} of the ${runs.size} selected runs are among these lines.`;
            return afterPaint([{ ...drawn, data: [lines] }, note]);
        },

        showInRows(selected) {
            if (!selected || selected.from !== "table") {
                const had = shownRows !== null;
                shownRows = selected ? new Set(selected.runs) : null;
                window.dash_ag_grid.getApiAsync("study-runs").then((api) => {
                    if (api.getSelectedNodes().length) {
                        api.deselectAll();
                    }
                    if (had || shownRows) {
                        api.onFilterChanged();
                    }
                });
            }
            return shownRows ? `Only the ${shownRows.size} selected runs are listed.` : "";
        },

        describeSelection(selected, compare) {
            if (!selected) {
                return ["", true, compare, { display: "none" }];
            }
            const { runs } = selected;
            const first = runs.slice(0, 12).join(", ");
            const text = runs.length === 1 ? `Run ${first} is selected.`
                : `${runs.length} runs are selected: ${first}${runs.length > 12 ? ", …" : ""}`;
            const few = runs.length >= 2 && runs.length <= 6;
            const href = `${compare}?runs=${runs.join(",")}`;
            return [text, false, few ? href : compare, few ? {} : { display: "none" }];
        },

        openRun(_frontier, _history, base) {
            const [{ value }] = clientside.callback_context.triggered;
            const [number] = ofPoints(value);
            return number === undefined ? clientside.no_update : `${window.location.origin}${base}${number}`;
        },

        // Replaced rather than added, so that the way back leads out of the page at once.
        writeAddress(selected, asked, ...rest) {
            const usual = rest.pop();
            const query = new URLSearchParams();
            usual.names.forEach((name, i) => {
                const value = Array.isArray(rest[i]) ? rest[i].join(",") : rest[i];
                if (value && value !== String(usual[name])) {
                    query.set(name, value);
                }
            });
            if (asked) {
                query.set("matters", "yes");
            }
            if (selected) {
                query.set("selected", written(selected.runs));
            }
            const text = query.toString();
            const address = window.location.pathname + (text ? `?${text}` : "");
            window.history.replaceState(window.history.state, "", address);
            return clientside.no_update;
        },

        saveRows: (_clicks, study) => [true, { fileName: `${study}.csv` }],
    });

    window.dashAgGridFunctions = Object.assign(window.dashAgGridFunctions || {}, {
        limbeckPasses: (node) => shownRows === null || shownRows.has(node.data.run),
        limbeckNumber(value) {
            if (typeof value !== "number") {
                return value === undefined || value === null ? "" : `${value}`;
            }
            const [, scale, letter] = [[1e9, 1e9, " G"], [1e6, 1e6, " M"], [1e4, 1e3, " k"], [0, 1, ""]]
                .find(([least]) => Math.abs(value) >= least);
            return `${Number((value / scale).toPrecision(4))}${letter}`;
        },
    });

    window.dashAgGridComponentFunctions = Object.assign(window.dashAgGridComponentFunctions || {}, {
        LimbeckRunLink(props) {
            const { Link } = window.dash_core_components;
            const href = `${props.context.runs}${props.value}`;
            return window.React.createElement(Link, { href }, `${props.value}`);
        },
    });
}());
