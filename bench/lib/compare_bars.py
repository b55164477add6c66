"""The charts of bench/compare that have a row a server: what a request costs."""
import math
from statistics import median

from lib import charts, compare_figures
from lib.compare_figures import NAMES, OURS, USUAL
from lib.compare_plan import LIMIT, PEERS

WIDTH, HEAD, BAR, FOOT = 1200, 100, 29, 20  # pixels
GAP = 0.7        # between models, peers and limit, in bars
CUT, FAR = 3, 4  # a bar that is longer than FAR times the median of all ends at CUT times the others' longest
COLOURS = {"": {True: ("#1f5fa8", "#8fb8e4"), False: ("#6e7781", "#c3cad1")},
           "-dark": {True: ("#58a6ff", "#2b5a94"), False: ("#9da7b1", "#4a525b")}}


def rows(samples, parts, whole=None):
    """(server, place, parts' medians) from the top; those without figures are left out. Where only the whole is known
    it is the one part."""
    found, place, family = [], 0.0, None
    for server in compare_figures.servers(samples):
        values = [compare_figures.middle(samples, name, server) for name in parts]
        if None in values and whole:
            values = [compare_figures.middle(samples, whole, server)]
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
    """Blocks of data and what draws them: a colour for each part, another two for ours, and a pattern for a whole whose
    parts are not known. A bar that is cut keeps the proportion of its parts."""
    blocks, plots = [], []
    found = [(server, place, [value * min(1, most / (sum(values) or 1)) for value in values])
             for server, place, values in found]
    for emphasised, colours in COLOURS[theme.suffix].items():
        for name, count, part, style in (("left", 2, 0, f"lc rgb '{colours[0]}'"), ("right", 2, 1, f"lc rgb '{colours[1]}'"),
                                         ("whole", 1, 0, f"fs pattern 4 lc rgb '{colours[0]}'")):
            data = charts.identifier(name, "ours" if emphasised else "others")
            lines = [(sum(values[:part]), sum(values[:part + 1]), place - 0.36, place + 0.36)
                     for server, place, values in found if (server == OURS) == emphasised and len(values) == count]
            if lines:
                blocks.append(charts.block(data, lines))
                plots.append(f"${data} u (($1+$2)/2):(($3+$4)/2):1:2:3:4 w boxxyerror {style} notitle")
    return blocks, plots


def words(found, theme, place_of, form, cut=math.inf):
    """Each server's number, right of where it ends."""
    lines = []
    for server, place, values in found:
        total = sum(values)
        text = f"{total:{form}}" + (" {/:Italic (cut)}" if total > cut else "")
        lines.append(f"set label \"{weight(server, text)}\" at {place_of(total):.6g},{place} left offset 0.8,0 font ',14' "
                     f"textcolor rgb '{theme.ink}'")
    return lines


def weight(server, text):
    return "{/:Bold %s}" % text if server == OURS else text


def frame(found, theme, title, subtitle):
    """What both charts have, and their height."""
    last = found[-1][1]
    height = int(HEAD + FOOT + BAR * (last + 1))
    names = ", ".join(f'"{weight(server, server)}" {place}' for server, place, _ in found)
    return [f"""
set encoding utf8
unset border
unset key
unset xtics
set ytics ({names}) nomirror scale 0 font ',15' textcolor rgb '{theme.ink}'
set label 101 "{title}" at screen 0.017,screen {1 - 30 / height:.4f} left font ',21' textcolor rgb '{theme.ink}'
set label 102 "{subtitle}" at screen 0.017,screen {1 - 62 / height:.4f} left font ',15' textcolor rgb '{theme.ink}'
set style fill solid 1.0 noborder
set lmargin at screen 0.155
set rmargin at screen 0.91
set tmargin at screen {1 - HEAD / height:.4f}
set bmargin at screen {FOOT / height:.4f}
set yrange [{last + 0.5}:-0.5]"""], height


def cpu(samples, theme):
    """Bars of two parts."""
    found = rows(samples, ("user_us", "system_us"), "cpu_us")
    if not any(sum(values) for _, _, values in found):
        return None
    most = longest(found)
    blocks, plots = boxes(found, theme, most)
    script, height = frame(found, theme, "CPU time of the server per request, µs",
                           "less is better; left: its own code, right: the kernel's for it, hatched: not told apart; "
                           f"the constant page, {USUAL} connections, medians")
    script += [f"set xrange [0:{most:.6g}]", *words(found, theme, lambda total: min(total, most), ",.1f", most), *blocks,
               "plot " + ", \\\n     ".join(plots)]
    return "\n".join(script) + "\n", height


def switches(samples, theme):
    """Dots: some have a thousand times as many as others, and a bar has no length on a logarithmic axis."""
    found = rows(samples, ("switches",))
    above = [values[0] for _, _, values in found if values[0] > 0]
    if not above:
        return None
    least, most = min(above) / 2, max(above) * 1.1
    blocks, plots = [], []
    for emphasised, colours in COLOURS[theme.suffix].items():
        data = charts.identifier("dots", "ours" if emphasised else "others")
        dots = [(max(values[0], least), place) for server, place, values in found if (server == OURS) == emphasised]
        if dots:
            blocks.append(charts.block(data, dots))
            plots += [f"${data} u ({least:.6g}):2:($1-{least:.6g}):(0) w vectors nohead lw 2 lc rgb '{colours[1]}' notitle",
                      f"${data} u 1:2 w points pt 7 ps 1.5 lc rgb '{colours[0]}' notitle"]
    script, height = frame(found, theme, "Context switches of the server per request",
                           "less is better; logarithmic; voluntary and involuntary; "
                           f"the constant page, {USUAL} connections, medians")
    script += ["set logscale x", f"set xrange [{least:.6g}:{most:.6g}]",
               *words(found, theme, lambda total: max(total, least), ".3g"), *blocks, "plot " + ", \\\n     ".join(plots)]
    return "\n".join(script) + "\n", height
