import { type ErrorCode, errorTable, isProtolineError } from "../../src/browser/index.ts";

export type Language = "en" | "zh";

const en = {
  skip: "Skip to recognition",
  gallery: "Gallery",
  newGallery: "New gallery",
  loading: "Loading the model …",
  close: "Close",
  teach: "Teach",
  teachHint: "About ten pictures of each part, as the camera will see it.",
  className: "Name of the class",
  dropEnroll: "Drop pictures here. Of a folder with folders in it, each is a class of its own.",
  chooseFiles: "Choose pictures",
  chooseFolder: "Choose folder",
  record: "Hold to record",
  recordHint: "Start the camera first",
  recording: "Recording …",
  classes: "Classes",
  noClasses: "None yet.",
  exportGallery: "Export",
  importGallery: "Import",
  removeGallery: "Remove gallery",
  transferHint: "An exported file goes into a Protoline server or another browser, and back.",
  recognize: "Recognize",
  recognizeHint: "Show a part to the camera, or drop pictures of it.",
  cameraOff: "The camera is off.",
  cameraStart: "Start camera",
  cameraStop: "Stop camera",
  dropRecognize: "Drop pictures to recognize here.",
  privacy: "Pictures and galleries stay in this browser. Nothing is sent anywhere.",
  galleryName: "Name of the gallery",
  galleryNameHint: "1 to 64 letters, digits, dots, underscores or hyphens.",
  create: "Create",
  cancel: "Cancel",
  remove: "Remove",
  undo: "Undo",
  known: "known",
  unknown: "unknown",
  ambiguous: "ambiguous",
  needName: "Give the class a name first.",
  noPictures: "There are no pictures among these files.",
  replace: "Replace",
  reembed: "Embed its pictures again",
  model: (name: string, where: string, dim: number) => `Model ${name}, ${dim} numbers a picture, on ${where}`,
  pictures: (count: number) => (count === 1 ? "1 picture" : `${count} pictures`),
  enrolling: (label: string, done: number, of: number) => `${label}: ${done} of ${of}`,
  enrolled: (label: string, added: number, duplicates: number, seconds: string) =>
    `${label}: ${added} added${duplicates > 0 ? `, ${duplicates} held already` : ""}, ${seconds} s`,
  removed: (label: string) => `The class ${label} was removed.`,
  confirmRemoveGallery: (name: string) =>
    `The gallery ${name} and its whole history will be removed from this browser.`,
  exists: (name: string) => `There is a gallery ${name} already. Replace it by the file?`,
  imported: (name: string, classes: number, samples: number) =>
    `Gallery ${name}: ${classes} classes, ${samples} pictures.`,
  otherModel: (name: string, made: string, model: string) =>
    `The gallery ${name} was made by the model ${made}; this page has ${model}.`,
  confidence: (percent: string, ms: string) => `confidence ${percent} %, ${ms} ms`,
  among: (labels: readonly string[]) => `${labels.join(" or ")}?`,
  nearest: (label: string) => `nearest: ${label}`,
  recognizing: (done: number, of: number) => `${done} of ${of}`,
  cameraFailed: (reason: string) => `The camera cannot be used: ${reason}`,
};

const zh: typeof en = {
  skip: "跳到识别",
  gallery: "图库",
  newGallery: "新建图库",
  loading: "正在加载模型…",
  close: "关闭",
  teach: "登记",
  teachHint: "每种零件约十张图片，与摄像头实际看到的一致。",
  className: "类别名称",
  dropEnroll: "把图片拖到这里。若文件夹中还有文件夹，每个子文件夹为一个类别。",
  chooseFiles: "选择图片",
  chooseFolder: "选择文件夹",
  record: "按住录制",
  recordHint: "请先打开摄像头",
  recording: "正在录制…",
  classes: "类别",
  noClasses: "尚无类别。",
  exportGallery: "导出",
  importGallery: "导入",
  removeGallery: "删除图库",
  transferHint: "导出的文件可导入 Protoline 服务器或其他浏览器，反之亦可。",
  recognize: "识别",
  recognizeHint: "把零件放到摄像头前，或拖入图片。",
  cameraOff: "摄像头未打开。",
  cameraStart: "打开摄像头",
  cameraStop: "关闭摄像头",
  dropRecognize: "把要识别的图片拖到这里。",
  privacy: "图片和图库只保存在此浏览器中，不会发送到任何地方。",
  galleryName: "图库名称",
  galleryNameHint: "1 到 64 个字母、数字、点、下划线或连字符。",
  create: "创建",
  cancel: "取消",
  remove: "删除",
  undo: "撤销",
  known: "已知",
  unknown: "未知",
  ambiguous: "不确定",
  needName: "请先填写类别名称。",
  noPictures: "这些文件中没有图片。",
  replace: "替换",
  reembed: "重新计算其图片的特征",
  model: (name, where, dim) => `模型 ${name}，每张图片 ${dim} 个数，运行于 ${where}`,
  pictures: (count) => `${count} 张`,
  enrolling: (label, done, of) => `${label}：${done} / ${of}`,
  enrolled: (label, added, duplicates, seconds) =>
    `${label}：新增 ${added} 张${duplicates > 0 ? `，已有 ${duplicates} 张` : ""}，${seconds} 秒`,
  removed: (label) => `已删除类别“${label}”。`,
  confirmRemoveGallery: (name) => `图库“${name}”及其全部历史将从此浏览器中删除。`,
  exists: (name) => `图库“${name}”已存在。用该文件替换吗？`,
  imported: (name, classes, samples) => `图库“${name}”：${classes} 个类别，${samples} 张图片。`,
  otherModel: (name, made, model) => `图库“${name}”由模型 ${made} 生成；此页面使用 ${model}。`,
  confidence: (percent, ms) => `置信度 ${percent} %，${ms} 毫秒`,
  among: (labels) => `${labels.join(" 或 ")}？`,
  nearest: (label) => `最接近：${label}`,
  recognizing: (done, of) => `${done} / ${of}`,
  cameraFailed: (reason) => `无法使用摄像头：${reason}`,
};

/** What the page's user can run into; other codes keep their English words. */
const zhErrors: Partial<Record<ErrorCode, string>> = {
  IMAGE_EMPTY: "图片文件为空",
  IMAGE_TOO_LARGE: "图片超过大小限制",
  IMAGE_UNSUPPORTED: "不是支持的图片格式（支持 JPEG、PNG、WebP、GIF、BMP）",
  IMAGE_BROKEN: "图片损坏或不完整",
  IMAGE_TOO_SMALL: "图片太小",
  LABEL_INVALID: "类别名称无效",
  SAMPLE_IN_OTHER_CLASS: "同一张图片已登记在另一个类别中",
  GALLERY_EMPTY: "图库中还没有类别，请先登记几张图片",
  GALLERY_EXISTS: "已有同名图库",
  GALLERY_FILE_INVALID: "文件不是完整的图库，未导入任何内容",
  MODEL_NOT_FOUND: "找不到模型文件",
  MODEL_HASH_MISMATCH: "模型文件与清单不符",
  MODEL_MISMATCH: "图库由另一个模型生成",
  PROVIDER_UNAVAILABLE: "无法加载 ONNX Runtime 的 WebAssembly 文件",
  STORE_FULL: "浏览器没有足够的存储空间",
  STORE_NEWER: "数据由更新版本的页面写入，请重新加载页面",
  STORE_BROKEN: "无法打开浏览器的存储；隐私窗口或浏览器设置可能不允许保存数据",
};

export type Words = typeof en;
export const words: Readonly<Record<Language, Words>> = { en, zh };

/** An error for the reader. */
export function errorWords(error: unknown, language: Language): string {
  if (!isProtolineError(error)) return error instanceof Error ? error.message : String(error);
  return codeWords(error.code, error.message, language);
}

export function codeWords(code: ErrorCode, message: string, language: Language): string {
  return language === "zh" ? `${zhErrors[code] ?? errorTable[code].title}（${code}）` : message;
}
