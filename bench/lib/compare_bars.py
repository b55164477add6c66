"""The charts of bench/compare that are bars: what a request costs, a bar a server."""
from statistics import median

from lib import charts, compare_figures
from lib.compare_figures import NAMES, OURS, USUAL
from lib.compare_plan import LIMIT, PEERS

WIDTH, HEAD, BAR, FOOT = 1200, 100, 29, 20  # pixels
GAP = 0.7        # between models, peers and limit, in bars
CUT, FAR = 3, 4  # a bar that is longer than FAR times the median of all ends at CUT times the others' longest
COLOURS = {"": {True: ("#1f5fa8", "#8fb8e4"), False: ("#6e7781", "#c3cad1")},
           "-dark": {True: ("#58a6ff", "#2b5a94"), False: ("#9da7b1", "#4a525b")}}


def rows(samples, parts):
    """(server, place, parts' medians) from the top; those without figures are left out."""
    found, place, family = [], 0.0, None
    for server in compare_figures.servers(samples):
        values = [compare_figures.middle(samples, name, server) for name in parts]
        if None in values:
            continue
        kind = "model" if server in NAMES else "peer" if server in PEERS else LIMIT
        place += GAP if family not in (None, kind) else 0
        found.append((server, place, [value.median for value in values]))
        place, family = place + 1, kind
    return found


def longest(found):
    """How far bars go: a few that are much longer than the others are cut, or nothing could be read of these."""
    totals = [sum(values) for _, _, values in found]
    usual = [total for total in totals if total <= FAR * median(totals)]
    cut = max(usual) * CUT / 2
    return cut if cut and max(totals) > cut else max(totals)


def boxes(found, theme, most):
    """Blocks of data and what draws them: a colour for each part, another two for ours."""
    blocks, plots = [], []
    for emphasised, colours in COLOURS[theme.suffix].items():
        for part, colour in enumerate(colours):
            data = charts.identifier("part", str(part), "ours" if emphasised else "others")
            lines = [(min(sum(values[:part]), most), min(sum(values[:part + 1]), most), place - 0.36, place + 0.36)
                     for server, place, values in found if (server == OURS) == emphasised and len(values) > part]
            if lines:
                blocks.append(charts.block(data, lines))
                plots.append(f"${data} u (($1+$2)/2):(($3+$4)/2):1:2:3:4 w boxxyerror lc rgb '{colour}' notitle")
    return blocks, plots


def words(found, theme, most, digits):
    """Each bar's number at its end."""
    lines = []
    for server, place, values in found:
        total = sum(values)
        text = f"{total:,.{digits}f}" + (" {/:Italic (cut)}" if total > most else "")
        if server == OURS:
            text = "{/:Bold %s}" % text
        lines.append(f"set label \"{text}\" at {min(total, most):.6g},{place} left offset 0.6,0 font ',14' textcolor rgb '{theme.ink}'")
    return lines


def chart(samples, theme, parts, title, subtitle, digits):
    found = rows(samples, parts)
    if not found or not any(sum(values) for _, _, values in found):
        return None
    most, last = longest(found), found[-1][1]
    height = int(HEAD + FOOT + BAR * (last + 1))
    blocks, plots = boxes(found, theme, most)
    names = ", ".join(f'"{"{/:Bold %s}" % server if server == OURS else server}" {place}' for server, place, _ in found)
    return "\n".join(["set encoding utf8", "unset border", "unset key", "unset xtics",
                      f"set ytics ({names}) nomirror scale 0 font ',15' textcolor rgb '{theme.ink}'",
                      f"set label 101 \"{title}\" at screen 0.017,screen {1 - 34 / height:.4f} left font ',21' textcolor rgb '{theme.ink}'",
                      f"set label 102 \"{subtitle}\" at screen 0.017,screen {1 - 68 / height:.4f} left font ',15' textcolor rgb '{theme.ink}'",
                      "set style fill solid 1.0 noborder", "set lmargin at screen 0.155", "set rmargin at screen 0.91",
                      f"set tmargin at screen {1 - HEAD / height:.4f}", f"set bmargin at screen {FOOT / height:.4f}",
                      f"set xrange [0:{most:.6g}]", f"set yrange [{last + 0.5}:-0.5]",
                      *words(found, theme, most, digits), *blocks, "plot " + ", \\\n     ".join(plots)]) + "\n", height


def cpu(samples, theme):
    return chart(samples, theme, ("user_us", "system_us"), "CPU time of the server per request, µs",
                 f"less is better; dark: its own code, light: the kernel for it; the constant page, {USUAL} connections, "
                 "medians", 1)


def switches(samples, theme):
    return chart(samples, theme, ("switches",), "Context switches of the server per request",
                 f"voluntary and involuntary; the constant page, {USUAL} connections, medians", 3)
