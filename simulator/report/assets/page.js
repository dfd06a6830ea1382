"use strict";
// Draws the pictures of a page with ECharts. A picture says what it shows, in base
// units (pictures of simulator/report); how it looks is decided here, by the scheme of
// colours that is in force.
(function () {
  var root = document.documentElement, pictures = JSON.parse(document.getElementById("pictures").textContent);

  // colour resolves a variable of the style sheet in the scheme that is in force.
  var probe = document.createElement("i");
  probe.hidden = true;
  document.body.appendChild(probe);
  function colour(name) {
    probe.style.color = "var(--" + name + ")";
    return getComputedStyle(probe).color;
  }
  function see_through(name, share) {
    return colour(name).replace(/^rgba?\(([^)]*)\)$/, function (_, parts) { return "rgba(" + parts.split(/[ ,\/]+/).slice(0, 3).join(",") + "," + share + ")"; });
  }

  // Values for people, by the unit of their axis.
  function digits(v) { return String(Number(v.toPrecision(3))); }
  function short(v) {
    var size = Math.abs(v);
    return size >= 1e9 ? digits(v / 1e9) + "G" : size >= 1e6 ? digits(v / 1e6) + "M" : size >= 1e4 ? digits(v / 1e3) + "k" : digits(v);
  }
  var units = {
    seconds: function (v) { return v === 0 ? "0" : v >= 1 ? digits(v) + " s" : v >= 1e-3 ? digits(v * 1e3) + " ms" : digits(v * 1e6) + " µs"; },
    moment: function (v) { return v >= 7200 ? digits(v / 3600) + " h" : v >= 300 ? digits(v / 60) + " min" : digits(v) + " s"; },
    bytes: function (v) { return v >= 1e12 ? digits(v / 1e12) + " TB" : v >= 1e9 ? digits(v / 1e9) + " GB" : v >= 1e6 ? digits(v / 1e6) + " MB" : v >= 1e3 ? digits(v / 1e3) + " kB" : digits(v) + " B"; },
    rate: short, count: short, money: short,
    share: function (v) { return digits(100 * v) + " %"; }
  };
  function written(axis, v) { return (units[axis.unit] || short)(v); }
  function escaped(text) { return String(text).replace(/[&<>"']/g, function (c) { return "&#" + c.charCodeAt(0) + ";"; }).replace(/\n/g, "<br>"); }

  var axis_text = 12;
  function axis(of, other) {
    return {
      type: of.log ? "log" : "value", name: of.name, nameLocation: other ? "end" : "middle", nameGap: other ? 12 : 26,
      nameTextStyle: { color: colour("soft"), fontSize: axis_text, align: other ? "left" : "center", padding: 0 },
      min: of.log ? undefined : 0, max: of.unit == "moment" ? "dataMax" : undefined, scale: of.log,
      axisLine: { show: !other, lineStyle: { color: colour("line") } }, axisTick: { show: false }, splitNumber: 5,
      minInterval: of.unit == "count" && !of.log && !other ? 1 : undefined,
      axisLabel: { color: colour("soft"), fontSize: axis_text, hideOverlap: true, formatter: function (v) { return written(of, v); } },
      splitLine: { lineStyle: { color: colour("line") } }
    };
  }

  // variable is the style sheet's name for the colour of a curve, by its place.
  function variable(curve, i) { return "var(--" + (curve.tone == "quiet" ? "soft" : curve.tone || "c" + i % 6) + ")"; }
  function tone(curve, i) { return colour(variable(curve, i).slice(6, -1)); }
  var shapes = { good: "circle", bad: "triangle", unsure: "diamond" };
  
  // curves are the series of a picture's curves. A baseline's have the colour of
  // their namesakes, thinner and paler.
  function curves(picture) {
    var named = {}, next = 0;
    return picture.curves.map(function (curve) {
      var base = curve.name.replace(/, before$/, "");
      if (!(base in named)) named[base] = next++;
      var paint = picture.heat ? colour("ink") : tone(curve, named[base]), dots = curve.look == "dots", lone = curve.points.length == 1;
      return {
        name: curve.name, type: dots ? "scatter" : "line", symbol: dots ? shapes[curve.tone] || "circle" : lone ? "circle" : "none", symbolSize: dots ? (curve.faint ? 7 : 11) : 6,
        color: paint, z: curve.faint ? 2 : 4, clip: false,
        itemStyle: { opacity: curve.faint ? 0.4 : 1, borderColor: colour("card"), borderWidth: dots ? 1 : 0 },
        lineStyle: { width: curve.faint ? 1.2 : curve.tone == "quiet" ? 1.4 : 2, opacity: curve.faint ? 0.65 : 1, type: curve.faint ? "dashed" : picture.heat && base == "p99" ? "dotted" : "solid" },
        label: { show: dots && !curve.faint && curve.points.some(function (p) { return p.label; }), position: "top", distance: 3, color: colour("ink"), fontSize: 11, formatter: function (q) { return q.data.label; } },
        labelLayout: { hideOverlap: true },
        emphasis: { focus: "none" },
        data: curve.points.map(function (p) { return { value: p.at, label: p.label, says: p.says }; })
      };
    });
  }

  // marks are lines and bands across the picture, on a series without points.
  function marks(picture) {
    function on(mark, v) { var at = {}; at[mark.axis + "Axis"] = v; return at; }
    return {
      type: "line", name: "", data: [], silent: true, tooltip: { show: false }, z: 1,
      markLine: { symbol: "none", silent: true, animation: false, precision: 12, data: (picture.lines || []).map(function (l) {
        return Object.assign(on(l, l.at), { lineStyle: { color: colour("bad"), width: 1.6, type: "dashed" },
          label: { show: false } });
      }) },
      markArea: { silent: true, animation: false, data: (picture.bands || []).map(function (b) {
        return [Object.assign(on(b, b.from), { name: b.name, itemStyle: { color: see_through(b.faint ? "soft" : "c0", b.faint ? 0.1 : 0.16) }, label: { show: false } }), on(b, b.to)];
      }) }
    };
  }

  // heat is a series of rectangles, and the scale of their colours.
  function heat(picture, option) {
    var most = picture.heat.reduce(function (m, c) { return Math.max(m, c[4]); }, 0), least = picture.heat.reduce(function (m, c) { return Math.min(m, c[4]); }, most);
    var ramp = [0, 1, 2, 3, 4, 5, 6].map(function (i) { return colour("h" + i); });
    option.visualMap = {
      type: "continuous", seriesIndex: option.series.length, dimension: 5, min: Math.log10(least), max: Math.max(Math.log10(most), Math.log10(least) + 1e-9), calculable: false, orient: "horizontal",
      right: 12, top: 0, itemWidth: 10, itemHeight: 90, text: [short(most) + " calls/s", short(Number(least.toPrecision(2)))], textStyle: { color: colour("soft"), fontSize: 12 }, inRange: { color: ramp }
    };
    option.series.push({
      type: "custom", name: "calls", clip: true, encode: { x: [0, 1], y: [2, 3] }, z: 0,
      data: picture.heat.map(function (c) { return c.concat(Math.log10(c[4])); }),
      renderItem: function (_, api) {
        var from = api.coord([api.value(0), api.value(3)]), to = api.coord([api.value(1), api.value(2)]);
        return { type: "rect", shape: { x: from[0], y: from[1], width: Math.max(1, to[0] - from[0] + 0.3), height: Math.max(1, to[1] - from[1] + 0.3) }, style: { fill: api.visual("color") } };
      },
      tooltip: { trigger: "item", formatter: function (q) {
        var c = q.value;
        return written(picture.x, c[0]) + " to " + written(picture.x, c[1]) + "<br>" + written(picture.y, c[2]) + " to " + written(picture.y, c[3]) + ": <b>" + short(c[4]) + "</b> calls a second";
      } }
    });
    option.tooltip.trigger = "item";
  }

  // bars are horizontal: of one value from the base, or of two around it.
  function bars(picture, option) {
    var names = picture.bars.map(function (b) { return b.name; }), two = picture.bars.some(function (b) { return b.values.length > 1; });
    option.yAxis = { type: "category", data: names, inverse: true, axisTick: { show: false }, axisLine: { lineStyle: { color: colour("line") } }, axisLabel: { color: colour("ink"), fontSize: 12 } };
    option.grid.containLabel = false; // it misjudges names
    option.grid.left = 16 + 7.4 * names.reduce(function (m, n) { return Math.max(m, n.length); }, 0);
    option.grid.bottom = 56;
    option.xAxis.scale = two;
    option.xAxis.min = two ? undefined : 0;
    option.series = (two ? ["halved", "doubled"] : [picture.x.name]).map(function (name, side) {
      return {
        name: name, type: "custom", color: colour(two && side == 0 ? "c1" : "c0"), encode: { x: [1, 2], y: 0 },
        data: picture.bars.map(function (b, i) { return { value: [i, picture.base || 0, b.values[side] === undefined ? picture.base || 0 : b.values[side]], says: b.says }; }),
        renderItem: function (_, api) {
          var from = api.coord([api.value(1), api.value(0)]), to = api.coord([api.value(2), api.value(0)]), high = Math.min(26, api.size([0, 1])[1] * 0.6);
          return { type: "rect", shape: { x: Math.min(from[0], to[0]), y: from[1] - high / 2, width: Math.abs(to[0] - from[0]), height: high, r: 2 }, style: { fill: api.visual("color") } };
        }
      };
    });
    if (two) option.series[0].markLine = { symbol: "none", silent: true, label: { show: false }, lineStyle: { color: colour("ink"), type: "solid", width: 1 }, data: [{ xAxis: picture.base }] };
    option.grid.top = 10;
    option.tooltip = Object.assign(option.tooltip, { trigger: "item", formatter: function (q) {
      return escaped(names[q.value[0]]) + (two ? ", " + q.seriesName : "") + ": <b>" + written(picture.x, q.value[2]) + "</b>" + (q.data.says ? "<br>" + escaped(q.data.says) : "");
    } });
  }

  function tip(picture) {
    return function (all) {
      var items = Array.isArray(all) ? all : [all];
      if (!Array.isArray(all) && all.data && all.data.says) return escaped(all.data.says);
      var first = items[0] && items[0].value;
      if (!first) return "";
      return escaped(picture.x.name) + " " + written(picture.x, first[0]) + items.map(function (q) {
        return "<br>" + q.marker + escaped(q.seriesName) + " <b>" + written(picture.y, q.value[1]) + "</b>";
      }).join("");
    };
  }

  function options(picture) {
    var text = { color: colour("ink"), fontSize: 12 };
    var option = {
      animation: false, textStyle: { fontFamily: "system-ui, sans-serif" }, aria: { enabled: true },
      grid: { left: 6, right: 22, top: 34, bottom: 34, containLabel: true },
      tooltip: { trigger: picture.curves && picture.curves.some(function (c) { return c.look == "dots"; }) ? "item" : "axis", confine: true, backgroundColor: colour("card"), borderColor: colour("line"), textStyle: text,
        extraCssText: "max-width: 26rem; white-space: normal;", formatter: tip(picture) },
      legend: { show: false, data: (picture.curves || []).map(function (c) { return c.name; }) }, // ours wraps where there is little room
      xAxis: axis(picture.x, false), yAxis: axis(picture.y, true), series: picture.curves ? curves(picture) : []
    };
    option.series.push(marks(picture));
    if (picture.heat) heat(picture, option);
    if (picture.bars) { delete option.legend.data; bars(picture, option); }
    return option;
  }

  // legend lists curves, lines and bands above a chart. A click on a curve hides it or
  // shows it again; all that a baseline adds goes by one entry.
  function legend(picture, chart) {
    var box = document.createElement("div");
    box.className = "legend";
    function entry(name, kind, paint, curves) {
      var e = document.createElement(curves ? "button" : "span"), mark = document.createElement("i");
      mark.className = kind;
      mark.style.color = paint;
      e.append(mark, name);
      if (curves) {
        e.type = "button";
        e.setAttribute("aria-pressed", "true");
        e.addEventListener("click", function () {
          var on = e.getAttribute("aria-pressed") != "true";
          e.setAttribute("aria-pressed", String(on));
          curves.forEach(function (c) { chart.dispatchAction({ type: on ? "legendSelect" : "legendUnSelect", name: c.name }); });
        });
      }
      box.append(e);
    }
    var names = {}, next = 0, faint = [];
    (picture.curves || []).forEach(function (c) {
      var base = c.name.replace(/, before$/, "");
      if (!(base in names)) names[base] = next++;
      if (c.faint) faint.push(c);
      else entry(c.name, c.look == "dots" ? "dot " + (shapes[c.tone] || "circle") : picture.heat && base == "p99" ? "dotted" : "stroke", picture.heat ? "var(--ink)" : variable(c, names[base]), [c]);
    });
    (picture.lines || []).forEach(function (l) { entry(l.name, "dashed", "var(--bad)"); });
    (picture.bands || []).forEach(function (b) { entry(b.name, "band", b.faint ? "var(--soft)" : "var(--c0)"); });
    if (faint.length) entry("before", "dashed", "var(--soft)", faint);
    if (picture.bars && picture.bars.some(function (b) { return b.values.length > 1; })) {
      entry("halved", "block", "var(--c1)");
      entry("doubled", "block", "var(--c0)");
    }
    return box;
  }

  var charts = [];
  pictures.forEach(function (picture, i) {
    var box = document.getElementById("chart" + i);
    if (picture.advice) return;
    var chart = echarts.init(box, null, { renderer: "svg" });
    charts.push({ chart: chart, picture: picture });
    box.previousElementSibling.replaceWith(legend(picture, chart));
    if (picture.x.unit == "moment" && !picture.heat) chart.group = "moments";
  });
  echarts.connect("moments");
  function draw() { charts.forEach(function (c) { c.chart.setOption(options(c.picture), true); }); }
  draw();
  addEventListener("resize", function () { charts.forEach(function (c) { c.chart.resize(); }); });

  // The scheme follows the system's until the reader chooses.
  var dark = matchMedia("(prefers-color-scheme: dark)"), button = document.getElementById("scheme");
  function is_dark() { return root.dataset.scheme ? root.dataset.scheme == "dark" : dark.matches; }
  function name() { button.textContent = is_dark() ? "Light" : "Dark"; }
  button.hidden = false;
  name();
  button.addEventListener("click", function () { root.dataset.scheme = is_dark() ? "light" : "dark"; name(); draw(); });
  dark.addEventListener("change", function () { name(); draw(); });
})();
