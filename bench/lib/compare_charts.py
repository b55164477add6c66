"""The charts of bench/compare, each for a light and a dark page, as SVG and PNG.

Curves stand in panels, a family of servers in each: ours and the panel's own in colour with their names beside them,
everybody else's faintly behind. All panels of a chart have the same axes.
"""
import math
from dataclasses import dataclass

from lib import charts, compare_bars, compare_figures
from lib.compare_figures import OURS, closed
from lib.compare_plan import LIMIT
from lib.files_charts import THEMES, terminals

MODEL_PANELS = (("Processes and threads", ("cgi", "prefork", "thread", "pool")),
                ("One loop on one core", ("select", "poll", "reactor-one")),
                ("A loop a core", ("article", "reactor-processes", "proactor")),
                ("Coroutines", ("coroutine", "goroutine")))
PEER_PANELS = (("Servers of others", ("nginx", "h2o", "lighttpd", "haproxy")),
               ("Servers of others, and the limit", ("apache2", "caddy", "go", LIMIT)))
ALL_PANELS = MODEL_PANELS + PEER_PANELS
COLOURS = {"": ("#b35900", "#2e7d5b", "#8250a0", "#6e7781"), "-dark": ("#e3a25a", "#6fbf95", "#c99bd1", "#9da7b1")}
EMPHASIS = {"": "#1f5fa8", "-dark": "#58a6ff"}
FAINT = {"": "#dfe4e9", "-dark": "#2a3038"}
WIDTH, HEAD, ROW = 1200, 96, 300  # pixels
ABOVE, BELOW = 38, 52             # of a row: its panel's title, its axis
LEFT, RIGHT = 74, 168             # of a panel: the numbers, the names
LABEL = 19                        # pixels between two names


@dataclass(frozen=True)
class Line:
    server: str
    points: list  # (x, low, median, high)
    broken: bool  # there are further points, which the server did not reach


@dataclass(frozen=True)
class Axes:
    title: str
    subtitle: str
    below: str    # what the horizontal axis counts
    x: tuple      # first, last
    y: tuple
    tics: list    # of x


def spread_points(pairs, scale=1.0):
    return [(x, value.low * scale, value.median * scale, value.high * scale)
            for x, value in pairs if value and x and value.low > 0]


def closed_line(samples, server, workload):
    """Requests/s over connections."""
    tried = compare_figures.connections_of(samples, workload=workload, server=server)
    points = spread_points((connections, compare_figures.middle(samples, "requests_per_s", server,
                                                                **closed(workload, connections))) for connections in tried)
    return Line(server, points, bool(points) and points[-1][0] < tried[-1])


def memory_line(samples, server):
    """MiB over idle connections."""
    tried = compare_figures.connections_of(samples, phase="idle", server=server)
    points = [(held, *[(user + (kernel or 0)) / 1024] * 3)
              for held, user, kernel in compare_figures.idle_points(samples, server) if held]
    return Line(server, points, bool(points) and points[-1][0] < 0.99 * tried[-1])


def latency_line(samples, server):
    """p99 in ms over the requests/s that were asked for."""
    return Line(server, spread_points(((rate, p99) for _, rate, p99 in compare_figures.paced(samples, server)), 1e-3), False)


def marks(low, high):
    """Powers of ten, with 2 and 5 times these where there would be too few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2 else (1,)
    return [step * 10.0 ** exponent for exponent in exponents for step in steps]


def ends(lines, place, margin):
    """The range of one coordinate of all points, and a little more."""
    values = [point[number] for line in lines for point in line.points for number in place]
    return min(values) / margin, max(values) * margin


def apart(wanted, gap):
    """Places of names beside their curves, 0 to 1, no two nearer than the gap. Those that would lie on one another stand
    around their middle."""
    groups = []  # (names, the middle of their places), from below
    for name in sorted(wanted, key=wanted.get):
        groups.append(([name], wanted[name]))
        while len(groups) > 1 and groups[-1][1] - groups[-2][1] < gap * (len(groups[-1][0]) + len(groups[-2][0])) / 2:
            (above, high), (below, low) = groups.pop(), groups.pop()
            groups.append((below + above, (low * len(below) + high * len(above)) / (len(below) + len(above))))
    return {name: middle + (number - (len(group) - 1) / 2) * gap
            for group, middle in groups for number, name in enumerate(group)}


def share(value, axis):
    """Where a value stands on a logarithmic axis, 0 to 1."""
    return (math.log10(value) - math.log10(axis[0])) / (math.log10(axis[1]) - math.log10(axis[0]))


def names(own, axes, theme, colours, height):
    """The names to the right of a panel, each in the colour of its curve."""
    wanted = {line.server: share(line.points[-1][2], axes.y) for line in own}
    commands = []
    for number, (server, place) in enumerate(apart(wanted, LABEL / height).items()):
        words = "{/:Bold %s}" % server if server == OURS else server
        commands.append(f"set label {number + 1} \"{words}\" at graph 1.03,{place:.4f} left font ',15' "
                        f"textcolor rgb '{colours[server]}'")
    return commands


def curves(lines, own, theme, colours, number):
    """Everybody faintly, then the panel's own with the range of the rounds."""
    blocks, plots, marked = [], [], []
    for line in lines:
        data = charts.identifier("p", str(number), line.server)
        blocks.append(charts.block(data, line.points))
        if line not in own:
            plots.append(f"${data} u 1:3 w lines lw 1.5 lc rgb '{FAINT[theme.suffix]}' notitle")
            continue
        colour, weight = colours[line.server], 4 if line.server == OURS else 2.2
        marked += [f"${data} u 1:2:4 w filledcurves fs transparent solid 0.15 noborder lc rgb '{colour}' notitle",
                   f"${data} u 1:3 w linespoints lw {weight} pt 7 ps 0.55 dt {2 if line.server == LIMIT else 1} "
                   f"lc rgb '{colour}' notitle"]
        if line.broken:
            marked.append(f"${data} u 1:3 every ::{len(line.points) - 1} w points pt 2 ps 1.6 lw 2.5 "
                          f"lc rgb '{colour}' notitle")
    return blocks, plots + marked


def panel(lines, family, axes, theme, number, height):
    """One panel of the chart; number counts them from the top left."""
    title, servers = family
    row, column = divmod(number, 2)
    own = [line for line in lines if line.server in servers] + [line for line in lines if line.server == OURS]
    colours = {**dict(zip(servers, COLOURS[theme.suffix])), OURS: EMPHASIS[theme.suffix]}
    top, left = HEAD + row * ROW, column * WIDTH / 2
    blocks, plots = curves(lines, own, theme, colours, number)
    return "\n".join([*blocks, "unset label", *(heading(axes, theme, height) if number == 0 else []),
                      *names(own, axes, theme, colours, ROW - ABOVE - BELOW),
                      f"set label 99 \"{{/:Bold {title}}}\" at graph 0,1.09 left font ',16' textcolor rgb '{theme.ink}'",
                      f"set lmargin at screen {(left + LEFT) / WIDTH:.4f}",
                      f"set rmargin at screen {(left + WIDTH / 2 - RIGHT) / WIDTH:.4f}",
                      f"set tmargin at screen {1 - (top + ABOVE) / height:.4f}",
                      f"set bmargin at screen {1 - (top + ROW - BELOW) / height:.4f}",
                      "plot " + ", \\\n     ".join(plots)])


def heading(axes, theme, height):
    return [f"set label 101 \"{axes.title}\" at screen 0.017,screen {1 - 30 / height:.4f} left font ',21' "
            f"textcolor rgb '{theme.ink}'",
            f"set label 102 \"{axes.subtitle}\" at screen 0.017,screen {1 - 62 / height:.4f} left font ',15' "
            f"textcolor rgb '{theme.ink}'"]


def plain(number):
    return f"{number:,.0f}" if number >= 1 else f"{number:g}"


def tics(values):
    return ", ".join(f"'{plain(value)}' {value:g}" for value in values)


def panels_chart(lines, families, axes, theme):
    """The script of a whole chart and its height in pixels; None without a curve."""
    shown = [family for family in families if any(line.server in family[1] for line in lines)]
    height = HEAD + ROW * ((len(shown) + 1) // 2)
    script = f"""
set encoding utf8
set border 3 lc rgb '{theme.quiet}'
set tics nomirror scale 0 textcolor rgb '{theme.ink}' font ',14'
set grid noxtics ytics lc rgb '{theme.quiet}' lt 1 lw 0.6
unset key
set logscale xy
set xrange [{axes.x[0]:g}:{axes.x[1]:g}]
set yrange [{axes.y[0]:g}:{axes.y[1]:g}]
set xtics ({tics(axes.tics)})
set ytics ({tics(marks(*axes.y))})
set xlabel '{axes.below}' textcolor rgb '{theme.ink}' font ',14' offset 0,0.4
set multiplot
""" + "\n".join(panel(lines, family, axes, theme, number, height) for number, family in enumerate(shown))
    return script + "\nunset multiplot\n", height


CROSS = "x: does not reach the next point"


def throughput(samples, theme, workload, title, families):
    lines = [closed_line(samples, server, workload) for server in compare_figures.servers(samples)]
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    return panels_chart(lines, families, Axes(
        title, f"more is better; logarithmic; median and range of the rounds; {CROSS}", "connections",
        ends(lines, (0,), 1.15), ends(lines, (1, 3), 1.3), compare_figures.connections_of(samples, workload=workload)), theme)


def memory(samples, theme):
    lines = [memory_line(samples, server) for server in compare_figures.servers(samples)]
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    xs = ends(lines, (0,), 1.15)
    return panels_chart(lines, ALL_PANELS, Axes(
        "Memory with idle connections, MiB", f"less is better; logarithmic; the server's and the kernel's; {CROSS}",
        "connections that stay open", xs, ends(lines, (1, 3), 1.3), marks(*xs)), theme)


def latency(samples, theme):
    lines = [latency_line(samples, server) for server in compare_figures.servers(samples)]
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    xs = ends(lines, (0,), 1.15)
    return panels_chart(lines, ALL_PANELS, Axes(
        "p99 at a constant rate, ms", "less is better; logarithmic; counted from when a request was due; "
        "each server at shares of what it can do", "requests/s that were asked for", xs, ends(lines, (1, 3), 1.3),
        marks(*xs)), theme)


CHARTS = {
    "throughput": lambda samples, theme: throughput(
        samples, theme, "fast", "Requests per second over connections", ALL_PANELS),
    "throughput-wait": lambda samples, theme: throughput(
        samples, theme, "wait", "Requests per second, each of which waits 10 ms for a service", MODEL_PANELS),
    "throughput-work": lambda samples, theme: throughput(
        samples, theme, "work", "Requests per second, each of which takes 1 ms of CPU", MODEL_PANELS),
    "memory": memory, "latency": latency, "cpu": compare_bars.cpu, "switches": compare_bars.switches}


def draw(results, folder):
    """Writes the charts and returns the names of those that could be drawn."""
    drawn, samples = [], compare_figures.whole(results)["samples"]
    for name, chart in CHARTS.items():
        for theme in THEMES:
            made = chart(samples, theme)
            if made is None:
                continue
            script, height = made
            charts.render(name + theme.suffix, script, folder, terminals(theme, WIDTH, height))
            drawn.append(name + theme.suffix)
    return drawn
