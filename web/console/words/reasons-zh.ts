/** Reasons that the server writes into the history, in Chinese; what somebody wrote himself stays as it is. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/^create the gallery$/, "创建图库"],
  [/^enroll (\d+) of (.+)$/, "登记 $1 张图片：$2"],
  [/^enroll (".+")$/, "登记 $1"],
  [/^remove (\d+) samples?$/, "移除 $1 张图片"],
  [/^remove (".+")$/, "删除类别 $1"],
  [/^rename (".+") to (".+")$/, "将 $1 改名为 $2"],
  [/^merge (.+) into (".+")$/, "将 $1 合并到 $2"],
  [/^move (\d+) to (".+")$/, "将 $1 张图片移到 $2"],
  [/^assign (\d+) frames? of the tray to (".+")$/, "将托盘中的 $1 帧归入 $2"],
  [/^undo an assignment of the tray$/, "撤销托盘的归类"],
  [/^roll back to (\d+)$/, "回退到版本 $1"],
  [/^false-reject rate (.+)$/, "误拒率 $1"],
  [/^another decision$/, "更改判定方式"],
  [/^another model$/, "更换模型"],
  [/^embed again with (.+)$/, "用 $1 重新嵌入"],
  [/^publish$/, "发布"],
  [/^import (".+")$/, "导入 $1"],
  [/^promote a candidate: model (\S+)$/, "采用候选：模型 $1"],
];

/** What tuning says of its choice, and what it said in older revisions, part by part. */
const summaries: readonly (readonly [RegExp, string])[] = [
  [
    /Leaving out each of ([^,]+), the new head and transform name (\S+ %) \((\S+ %) to (\S+ %)\) right, the current ones (\S+ %): (\d+) won, (\d+) lost\. ?/,
    "逐张留出$1：新的比较方式答对 $2（$3 至 $4），现在的答对 $5；多对 $6 张，少对 $7 张。",
  ],
  [
    /Head and transform stay: on ([^,]+), each left out in turn, they name (\S+ %) \((\S+ %) to (\S+ %)\) right, and no other choice is better beyond noise\. ?/,
    "比较方式不变：逐张留出$1，答对 $2（$3 至 $4），没有其他方式明显更好。",
  ],
  [/There is one class: on ([^,]+) nothing can be said of naming\. ?/, "只有一个类别：仅凭$1无法评估命名。"],
  [
    /At a stated (\S+ %), of parts never shown (\S+ %) \((\S+ %) to (\S+ %)\) would be caught \(each class in turn as the stranger\), /,
    "设定比率为 $1 时，从未教过的零件有 $2（$3 至 $4）会被识破（轮流把每个类别当作陌生零件），",
  ],
  [
    /At a stated (\S+ %), of parts never shown nothing can be said with one class, /,
    "设定比率为 $1 时，只有一个类别，无法估计从未教过的零件，",
  ],
  [
    /of known parts (\S+ %) \((\S+ %) to (\S+ %)\) called unknown\./,
    "已知零件有 $1（$2 至 $3）会被判为未知。",
  ],
  [
    /Unknown parts are told best by (\w+): leaving out each class in turn, AUROC (\S+ %), (\S+ %) more than before, p = ([\d.]+)\./,
    "区分未知零件以 $1 最好：轮流留出每个类别，AUROC 为 $2，比之前高 $3，p = $4。",
  ],
  [
    /Unknown parts are told by (\w+): leaving out each class in turn, AUROC (\S+ %); no other score is better beyond noise\./,
    "区分未知零件用 $1：轮流留出每个类别，AUROC 为 $2，没有其他量明显更好。",
  ],
  [/of known parts an unknown share called unknown\./, "已知零件被判为未知的比率尚不清楚。"],
  [/(\d+) of (\d+) pictures of (\d+) of (\d+) classes/, " $4 个类别中 $3 个的 $1 张图片（共 $2 张）"],
  [/(\d+) pictures of (\d+) class(?:es)?/, " $2 个类别的 $1 张图片"],
];

export const summaryZh = (text: string): string =>
  summaries.reduce((done, [pattern, chinese]) => done.replace(pattern, chinese), text);

export function reasonZh(text: string): string {
  for (const [pattern, chinese] of patterns) if (pattern.test(text)) return text.replace(pattern, chinese);
  const [, moved] = /^limits learned from the line: (.+)$/s.exec(text) ?? [];
  if (moved !== undefined)
    return `按产线的帧调整界限：${moved.replaceAll(/ by (\S+ %) \((\d+) frames\)/g, " $1（$2 帧）")}`;
  const [, what, chosen] = /^(promote a candidate|tune): (.+)$/s.exec(text) ?? [];
  if (chosen === undefined) return text;
  return `${what === "tune" ? "调优" : "采用候选"}：${summaryZh(chosen)}`;
}
