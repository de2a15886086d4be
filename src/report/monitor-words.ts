import type { ClassQuality, DriftReport, DriftTest } from "../monitor/index.ts";
import type { Language } from "./words.ts";

const en = {
  title: (gallery: string) => `Monitor of ${gallery}`,
  model: "model",
  revision: "revision",
  classes: "classes",
  pictures: "pictures",
  bad: "bad classes",
  time: "as of",
  expected: "What to expect",
  expectedBoth: (caught: string, rejected: string) =>
    `Of parts never shown about ${caught} would be caught (each class in turn as the stranger), of known parts about ${rejected} called unknown.`,
  expectedOne: (rejected: string) =>
    `Of known parts about ${rejected} would be called unknown. Of parts never shown nothing can be said with one class.`,
  nothingExpected: "Nothing can be said yet: no class has a second picture.",
  expectedNote: (pictures: number, classes: number) =>
    `From ${pictures} pictures of ${classes} ${classes === 1 ? "class" : "classes"}, each picture and each class left out in turn. Parts less like the taught ones are caught more often.`,
  stated: "rate stated",
  caught: "never shown, caught",
  rejected: "known, called unknown",
  ofPictures: "of pictures",
  inUse: "in use",
  strangers: "Who lets strangers in",
  strangersNote: "At the rate in use, the least caught first.",
  stranger: "class left out",
  strangerCaught: "caught",
  takenBy: "taken by",
  quality: "Quality of each class",
  qualityNote:
    "Each picture is left out in turn and recognized by the others; bars and shares are of the pictures of the class, intervals hold the true rate in 95 of 100 cases (Wilson).",
  qualityFigure: "Named right when left out",
  class: "class",
  verdict: "verdict",
  verdicts: { good: "good", watch: "watch", bad: "bad" },
  right: "right",
  interval: "95 % interval",
  wrong: "wrong",
  unknown: "unknown",
  ambiguous: "ambiguous",
  confidence: "mean confidence",
  confusable: "nearest other",
  todo: "What to do",
  allGood: "Every class is good.",
  advice: ({ todo }: ClassQuality): string | null => todo,
  heldOut: "Held-out pictures",
  heldOutNote: (pictures: number, name: string) =>
    `Each revision is asked about the same ${pictures} pictures of ${name}, which it was never shown.`,
  shown: (n: number) => ` ${n} more were enrolled, too, and are left out.`,
  noHeldOut: (name: string) =>
    `None: enroll pictures in gallery ${name} that this gallery is never shown, and accuracy, false rejects and false accepts stand here revision by revision.`,
  accuracy: "accuracy",
  falseReject: "false rejects",
  falseAccept: "false accepts",
  rates: "Rates by revision",
  percent: "%",
  lost: "lost",
  gained: "gained",
  pValue: "p",
  drift: "Drift of the line",
  noDrift: "Not given: the server tells it at /v1/galleries/GALLERY/drift.",
  reference: (frames: number, revision: number | null) =>
    `Against the first ${frames} frames that revision ${revision ?? "–"} answered, window by window.`,
  learning: (frames: number, all: number) => `The reference is being learnt: ${frames} of ${all} frames.`,
  level: (level: string, windows: number, frames: number) =>
    ` A false alarm comes in at most ${level} of periods of ${windows} windows of ${frames} frames.`,
  alarm: "The line has drifted.",
  calm: "No drift.",
  unknownRate: "Unknown frames, window by window",
  pValues: "How likely each window is without drift",
  evidence: (most: number) =>
    `−log₁₀ of the least p-value, held against the others; what is above ${most} stands at ${most}`,
  driftText: (_: DriftReport, text: string): string => text,
  threshold: "alarm at",
  frame: "frame",
  last: "Tests of the last window",
  test: "test",
  tests: {
    embeddings: "embeddings, MMD²",
    distance: "distance to the nearest class, KS",
    unknownRate: "rate of unknown frames, difference",
    classMean: "shift of a class's mean, in its spread",
  } satisfies Record<DriftTest, string>,
  statistic: "statistic",
  alarmed: "alarm",
  yes: "yes",
};

export type MonitorWords = typeof en;

const zh: MonitorWords = {
  title: (gallery) => `${gallery} 的监测报告`,
  model: "模型",
  revision: "版本",
  classes: "类别数",
  pictures: "图片数",
  bad: "较差类别",
  time: "截至",
  expected: "预期表现",
  expectedBoth: (caught, rejected) =>
    `从未教过的零件约 ${caught} 会被识破（轮流把每个类别当作陌生零件），已知零件约 ${rejected} 会被判为未知。`,
  expectedOne: (rejected) => `已知零件约 ${rejected} 会被判为未知。只有一个类别，无法估计从未教过的零件。`,
  nothingExpected: "暂时无法评估：没有类别有第二张图片。",
  expectedNote: (pictures, classes) =>
    `依据 ${classes} 个类别的 ${pictures} 张图片，轮流留出每张图片和每个类别。与已教零件差别更大的，更容易被识破。`,
  stated: "设定的比率",
  caught: "从未教过，被识破",
  rejected: "已知，被判为未知",
  ofPictures: "图片",
  inUse: "使用中",
  strangers: "谁会放过陌生零件",
  strangersNote: "按使用中的比率，识破最少的在前。",
  stranger: "留出的类别",
  strangerCaught: "被识破",
  takenBy: "被认作",
  quality: "各类别的质量",
  qualityNote:
    "逐张留出图片，由其余图片识别；条形与占比均以该类别的图片计，区间以约 95 % 的把握包含真实比率（Wilson）。",
  qualityFigure: "留出后判定正确的比例",
  class: "类别",
  verdict: "结论",
  verdicts: { good: "良好", watch: "留意", bad: "较差" },
  right: "正确",
  interval: "95 % 区间",
  wrong: "错误",
  unknown: "未知",
  ambiguous: "不确定",
  confidence: "平均置信度",
  confusable: "最易混淆",
  todo: "如何处理",
  allGood: "所有类别均良好。",
  advice: ({ verdict, label, pictures, right, wrong, unknown, ambiguous, confusable }) => {
    if (verdict === "good") return null;
    if (pictures < 5) return `只有 ${pictures} 张图片，约需 10 张：请再添加 ${10 - pictures} 张。`;
    if (confusable && wrong.hits >= unknown.hits && wrong.hits + ambiguous.hits > 0)
      return `${right.of} 张图片中有 ${confusable.pictures} 张更接近“${confusable.label}”：请检查其类别是否正确；若正确，请为两类各添加能显出差别的图片。`;
    if (unknown.hits >= ambiguous.hits)
      return `${unknown.of} 张图片中有 ${unknown.hits} 张留出后不属于任何类别：请添加与之相似的图片，或将其另立一类。`;
    return `${ambiguous.of} 张图片中有 ${ambiguous.hits} 张介于“${label}”与${confusable ? `“${confusable.label}”` : "另一类别"}之间：请为两类各添加能显出差别的图片，或合并两类。`;
  },
  heldOut: "留存图片",
  heldOutNote: (pictures, name) => `每个版本都用 ${name} 中同样的 ${pictures} 张图片评估，这些图片从未录入。`,
  shown: (n) => `另有 ${n} 张也被录入，不计在内。`,
  noHeldOut: (name) =>
    `暂无：请将本图库从不录入的图片录入图库 ${name}，此处即按版本列出准确率、误拒率与误受率。`,
  accuracy: "准确率",
  falseReject: "误拒率",
  falseAccept: "误受率",
  rates: "各版本的比率",
  percent: "%",
  lost: "变错",
  gained: "变对",
  pValue: "p 值",
  drift: "产线漂移",
  noDrift: "未提供：可从服务器的 /v1/galleries/图库/drift 取得。",
  reference: (frames, revision) => `逐窗口与版本 ${revision ?? "–"} 最初回答的 ${frames} 帧比较。`,
  learning: (frames, all) => `正在采集参照：${frames} / ${all} 帧。`,
  level: (level, windows, frames) =>
    `每 ${windows} 个窗口（每窗口 ${frames} 帧）为一周期，误报的周期不超过 ${level}。`,
  alarm: "产线已漂移。",
  calm: "未见漂移。",
  unknownRate: "各窗口的未知帧",
  pValues: "各窗口在无漂移时的可能性",
  evidence: (most) => `校正后最小 p 值的 −log₁₀，超过 ${most} 的画在 ${most}`,
  driftText: ({ findings }) => {
    const alarms = findings.filter(({ alarm }) => alarm);
    const has = (test: DriftTest): boolean => alarms.some((one) => one.test === test);
    const moved = alarms.flatMap(({ test, label }) => (test === "classMean" ? [`“${label}”`] : []));
    const facts = [
      ...(has("unknownRate") ? ["未知帧的比率变化"] : []),
      ...(has("distance") ? ["到最近类别的距离变化"] : []),
      ...(moved.length > 0 ? [`类别${moved.join("、")}偏移`] : []),
      ...(has("embeddings") ? ["图像整体与此前不同"] : []),
    ];
    const first =
      has("unknownRate") && moved.length === 0
        ? "请在未知托盘中查看是否有新零件。"
        : has("distance") || moved.length > 0
          ? "请先检查光照、镜头与相机。"
          : "请查看零件的搭配是否改变，其次检查光照、镜头与相机。";
    return `与参照相比，${facts.join("，")}：${first}`;
  },
  threshold: "报警线",
  frame: "帧",
  last: "最近窗口的检验",
  test: "检验",
  tests: {
    embeddings: "特征，MMD²",
    distance: "到最近类别的距离，KS",
    unknownRate: "未知帧比率之差",
    classMean: "类别均值的偏移（以其离散度计）",
  },
  statistic: "统计量",
  alarmed: "报警",
  yes: "是",
};

export const monitorWords = (language: Language): MonitorWords => ({ en, zh })[language];
