// The addon's face to Node: converts between JavaScript and C++ and holds no logic. src/native-binding.ts documents
// every function and type by the names used here.
#include <napi.h>
#include <stdint.h>
#include <stdio.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "addon/executable_info.h"
#include "addon/injector.h"
#include "addon/own_allocator.h"
#include "addon/segment_reader.h"
#include "addon/segment_wish.h"
#include "addon/symbolizer.h"

namespace cgoprof {
namespace {

// ---- Values ----------------------------------------------------------------------------------------------------

// An integer that JavaScript can hold exactly: a count beyond 2^53 - 1 can only be a damaged one.
Napi::Value SafeInteger(Napi::Env env, uint64_t value) {
  constexpr uint64_t kMaxSafeInteger = (uint64_t{1} << 53) - 1;
  return Napi::Number::New(env, static_cast<double>(std::min(value, kMaxSafeInteger)));
}

Napi::Value BigUint(Napi::Env env, uint64_t value) { return Napi::BigInt::New(env, value); }
Napi::Value Text(Napi::Env env, const std::string& value) { return Napi::String::New(env, value); }
Napi::Value Flag(Napi::Env env, bool value) { return Napi::Boolean::New(env, value); }

using Field = std::pair<const char*, napi_value>;

Napi::Object MakeObject(Napi::Env env, std::initializer_list<Field> fields) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, value] : fields) object.Set(name, value);
  return object;
}

template <typename Item>
Napi::Value ListToJs(Napi::Env env, const std::vector<Item>& items, Napi::Value (*to_js)(Napi::Env, const Item&)) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (uint32_t i = 0; i < items.size(); ++i) {
    const Napi::HandleScope scope(env);
    array[i] = to_js(env, items[i]);
  }
  return array;
}

[[noreturn]] void Throw(Napi::Env env, const NativeError& error) {
  Napi::Error thrown = Napi::Error::New(env, error.message);
  thrown.Set("code", Text(env, error.code));
  throw thrown;
}

// ---- Segments --------------------------------------------------------------------------------------------------

const char* StateName(SegmentState state) {
  switch (state) {
    case kStateRunning:
      return "running";
    case kStatePaused:
      return "paused";
    case kStateExited:
      return "exited";
    default:
      return "starting";
  }
}

std::string HexNumber(uint64_t value) {
  char digits[17];
  snprintf(digits, sizeof(digits), "%llx", static_cast<unsigned long long>(value));
  return digits;
}

Napi::Value CountersToJs(Napi::Env env, const uint64_t (&counters)[kCounterCount]) {
  const auto count = [&](CounterId id) { return SafeInteger(env, counters[id]); };
  return MakeObject(env, {{"droppedBuckets", count(kDroppedBuckets)},
                          {"droppedLive", count(kDroppedLive)},
                          {"truncatedStacks", count(kTruncatedStacks)},
                          {"goBoundaryFailed", count(kGoBoundaryFailed)},
                          {"missedFrees", count(kMissedFrees)},
                          {"lostModules", count(kLostModules)},
                          {"prunedSegments", count(kPrunedSegments)},
                          {"unknownFrees", count(kUnknownFrees)}});
}

// Undefined where nobody knows.
Napi::Value BeforeAttachBytesToJs(Napi::Env env, const SegmentHeader& header) {
  const bool known = header.attachments != 0 && header.before_attach_bytes != kUnknownBytes;
  return known ? SafeInteger(env, header.before_attach_bytes) : env.Undefined();
}

Napi::Value HeaderToJs(Napi::Env env, const SegmentHeader& header) {
  return MakeObject(env, {{"abiMajor", SafeInteger(env, header.abi_major)},
                          {"abiMinor", SafeInteger(env, header.abi_minor)},
                          {"state", Text(env, StateName(header.state))},
                          {"pid", SafeInteger(env, header.pid)},
                          {"uid", SafeInteger(env, header.uid)},
                          {"startTimeTicks", BigUint(env, header.start_time_ticks)},
                          {"createdUnixNs", BigUint(env, header.created_unix_ns)},
                          {"runId", Text(env, HexNumber(header.run_id))},
                          {"sampleRate", SafeInteger(env, header.sample_rate)},
                          {"bootId", Text(env, header.boot_id)},
                          {"exePath", Text(env, header.exe_path)},
                          {"wish", Text(env, header.wish == kWishPause ? "pause" : "record")},
                          {"attachments", SafeInteger(env, header.attachments)},
                          {"attachedUnixNs", BigUint(env, header.attached_unix_ns)},
                          {"beforeAttachBytes", BeforeAttachBytesToJs(env, header)},
                          {"counters", CountersToJs(env, header.counters)},
                          {"samples", SafeInteger(env, header.samples)},
                          {"liveSamples", SafeInteger(env, header.live_samples)},
                          {"committedBytes", SafeInteger(env, header.committed_bytes)}});
}

Napi::Value ModuleToJs(Napi::Env env, const SegmentModule& module) {
  return MakeObject(env, {{"id", SafeInteger(env, module.id)},
                          {"path", Text(env, module.path)},
                          {"buildId", Text(env, module.build_id)},
                          {"imageStart", BigUint(env, module.image_start)},
                          {"imageEnd", BigUint(env, module.image_end)},
                          {"bias", BigUint(env, module.bias)},
                          {"textStart", BigUint(env, module.text_start)},
                          {"textEnd", BigUint(env, module.text_end)},
                          {"textOffset", BigUint(env, module.text_offset)},
                          {"isExecutable", Flag(env, (module.flags & kModuleExecutable) != 0)},
                          {"isGo", Flag(env, (module.flags & kModuleGo) != 0)},
                          {"isVdso", Flag(env, (module.flags & kModuleVdso) != 0)}});
}

template <typename Number>
Napi::ArrayBuffer CopyToBuffer(Napi::Env env, const std::vector<Number>& numbers) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, numbers.size() * sizeof(Number));
  std::copy(numbers.begin(), numbers.end(), static_cast<Number*>(buffer.Data()));
  return buffer;
}

// The frames of each stack, as views of two buffers. Buckets that point at one stack are given the same two objects, by
// which TypeScript knows to look at the stack once.
class StackConverter {
 public:
  StackConverter(Napi::Env env, const Segment& segment)
      : frames_(Napi::Array::New(env, segment.stacks.size())), modules_(Napi::Array::New(env, segment.stacks.size())) {
    const Napi::ArrayBuffer pcs = CopyToBuffer(env, segment.frame_pcs);
    const Napi::ArrayBuffer modules = CopyToBuffer(env, segment.frame_modules);
    for (uint32_t i = 0; i < segment.stacks.size(); ++i) {
      const Napi::HandleScope scope(env);
      const auto [first, depth] = segment.stacks[i];
      frames_[i] = Napi::BigUint64Array::New(env, depth, pcs, first * sizeof(uint64_t));
      modules_[i] = Napi::Uint16Array::New(env, depth, modules, first * sizeof(uint16_t));
    }
  }

  Napi::Value Frames(uint32_t stack) const { return frames_.Get(stack); }
  Napi::Value Modules(uint32_t stack) const { return modules_.Get(stack); }

 private:
  Napi::Array frames_;
  Napi::Array modules_;
};

// A segment can have a million buckets. A literal makes one in a quarter of the time that setting each property takes.
constexpr char kMakeBucket[] =
    "(kind, sizeClass, allocs, frees, allocBytes, freeBytes, torn, truncated, goUnreachable, frames, frameModules) =>"
    "({kind, sizeClass, allocs, frees, allocBytes, freeBytes, torn, truncated, goUnreachable, frames, frameModules})";

class BucketConverter {
 public:
  BucketConverter(Napi::Env env, const Segment& segment)
      : env_(env), stacks_(env, segment), make_(env.RunScript(kMakeBucket).As<Napi::Function>()) {}

  Napi::Value Convert(const SegmentBucket& bucket) const {
    return make_.Call({SafeInteger(env_, bucket.kind), SafeInteger(env_, bucket.size_class),
                       SafeInteger(env_, bucket.allocs), SafeInteger(env_, bucket.frees),
                       SafeInteger(env_, bucket.alloc_bytes), SafeInteger(env_, bucket.free_bytes),
                       Flag(env_, bucket.torn), Flag(env_, bucket.truncated), Flag(env_, bucket.go_unreachable),
                       stacks_.Frames(bucket.stack), stacks_.Modules(bucket.stack)});
  }

 private:
  const Napi::Env env_;
  const StackConverter stacks_;
  const Napi::Function make_;
};

Napi::Value BucketsToJs(Napi::Env env, const Segment& segment) {
  const BucketConverter converter(env, segment);
  Napi::Array array = Napi::Array::New(env, segment.buckets.size());
  for (uint32_t i = 0; i < segment.buckets.size(); ++i) {
    const Napi::HandleScope scope(env);
    array[i] = converter.Convert(segment.buckets[i]);
  }
  return array;
}

Napi::Value ReadSegmentJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = info[0].As<Napi::String>();
  const SegmentReadResult result = ReadSegment(path.c_str());
  if (result.error) Throw(env, result.error);
  return MakeObject(env, {{"header", HeaderToJs(env, result.segment.header)},
                          {"modules", ListToJs(env, result.segment.modules, ModuleToJs)},
                          {"buckets", BucketsToJs(env, result.segment)}});
}

Napi::Value ReadSegmentHeaderJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = info[0].As<Napi::String>();
  const SegmentHeaderReadResult result = ReadSegmentHeader(path.c_str());
  if (result.error) Throw(env, result.error);
  return HeaderToJs(env, result.header);
}

void SetSegmentWishJs(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const std::string wish = info[1].As<Napi::String>();
  if (const NativeError error = SetSegmentWish(path.c_str(), wish == "pause" ? kWishPause : kWishRecord)) {
    Throw(info.Env(), error);
  }
}

// ---- Symbols ---------------------------------------------------------------------------------------------------

std::vector<std::string> TextsFromJs(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> texts(array.Length());
  for (uint32_t i = 0; i < texts.size(); ++i) texts[i] = array.Get(i).As<Napi::String>();
  return texts;
}

SymbolizeRequest RequestFromJs(const Napi::Object& object) {
  const Napi::BigUint64Array addresses = object.Get("addresses").As<Napi::BigUint64Array>();
  SymbolizeRequest request;
  request.files = TextsFromJs(object.Get("files"));
  request.build_id = object.Get("buildId").As<Napi::String>();
  request.addresses.assign(addresses.Data(), addresses.Data() + addresses.ElementLength());
  request.debug_roots = TextsFromJs(object.Get("debugRoots"));
  return request;
}

Napi::Value LineToJs(Napi::Env env, const SourceLine& line) {
  return MakeObject(env, {{"name", Text(env, line.name)},
                          {"systemName", Text(env, line.system_name)},
                          {"file", Text(env, line.file)},
                          {"line", SafeInteger(env, line.line)},
                          {"startLine", SafeInteger(env, line.start_line)}});
}

Napi::Value LinesToJs(Napi::Env env, const std::vector<SourceLine>& lines) { return ListToJs(env, lines, LineToJs); }

Napi::Value SymbolizeResultToJs(Napi::Env env, const SymbolizeResult& result) {
  const Napi::ArrayBuffer is_go = CopyToBuffer(env, result.is_go);
  return MakeObject(env, {{"lines", ListToJs(env, result.lines, LinesToJs)},
                          {"isGo", Napi::Uint8Array::New(env, result.is_go.size(), is_go, 0)},
                          {"file", Text(env, result.file)},
                          {"warning", Text(env, result.warning)}});
}

// Symbolizes one module on a thread of libuv's pool; owns itself until the promise is settled.
class SymbolizeWorker : public Napi::AsyncWorker {
 public:
  SymbolizeWorker(Napi::Env env, SymbolizeRequest request)
      : AsyncWorker(env, "cgoprof.symbolizeModule"), deferred_(env), request_(std::move(request)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { result_ = SymbolizeModule(request_); }
  void OnOK() override { deferred_.Resolve(SymbolizeResultToJs(Env(), result_)); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  const Napi::Promise::Deferred deferred_;
  const SymbolizeRequest request_;
  SymbolizeResult result_;
};

Napi::Value SymbolizeModuleJs(const Napi::CallbackInfo& info) {
  auto* worker = new SymbolizeWorker(info.Env(), RequestFromJs(info[0].As<Napi::Object>()));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

// ---- Executables -----------------------------------------------------------------------------------------------

const char* FormatName(ExecutableFormat format) {
  switch (format) {
    case ExecutableFormat::kElf:
      return "elf";
    case ExecutableFormat::kScript:
      return "script";
    default:
      return "other";
  }
}

Napi::Value InspectExecutableJs(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = info[0].As<Napi::String>();
  const auto [error, executable] = InspectExecutable(path.c_str());
  if (error) Throw(env, error);
  return MakeObject(env, {{"format", Text(env, FormatName(executable.format))},
                          {"machine", Text(env, executable.machine)},
                          {"dynamic", Flag(env, executable.dynamic)},
                          {"interpreter", Text(env, executable.interpreter)},
                          {"isGo", Flag(env, executable.is_go)},
                          {"hasOwnMalloc", Flag(env, executable.has_own_malloc)},
                          {"hasCapabilities", Flag(env, executable.has_capabilities)}});
}

// ---- Attaching -------------------------------------------------------------------------------------------------

AttachRequest AttachRequestFromJs(const Napi::Object& request) {
  AttachRequest converted;
  const std::string action = request.Get("action").As<Napi::String>();
  converted.pid = request.Get("pid").As<Napi::Number>().Int32Value();
  converted.action = action == "detach" ? kDetachAction : kAttachAction;
  converted.library_path = request.Get("libraryPath").As<Napi::String>();
  converted.rate = static_cast<uint64_t>(request.Get("rate").As<Napi::Number>().Int64Value());
  converted.directory = request.Get("directory").As<Napi::String>();
  converted.deadline = std::chrono::milliseconds(request.Get("deadlineMs").As<Napi::Number>().Int64Value());
  converted.trust_seccomp = request.Get("trustSeccomp").As<Napi::Boolean>();
  converted.skip_account = request.Get("skipAccount").As<Napi::Boolean>();
  return converted;
}

Napi::Value AttachResultToJs(Napi::Env env, const AttachResult& result) {
  return MakeObject(env, {{"segment", Text(env, result.segment)},
                          {"stoppedNs", SafeInteger(env, result.stopped_ns)},
                          {"threadId", SafeInteger(env, static_cast<uint64_t>(result.thread_id))},
                          {"attempts", SafeInteger(env, result.attempts)},
                          {"patched", SafeInteger(env, result.patched)},
                          {"accountNs", SafeInteger(env, result.account_ns)}});
}

class AttachWorker : public Napi::AsyncWorker {
 public:
  AttachWorker(Napi::Env env, AttachRequest request)
      : Napi::AsyncWorker(env), deferred_(env), request_(std::move(request)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override { result_ = AttachTo(request_); }
  void OnOK() override {
    if (!result_.error) return deferred_.Resolve(AttachResultToJs(Env(), result_));
    Napi::Error error = Napi::Error::New(Env(), result_.error.message);
    error.Set("code", Text(Env(), result_.error.code));
    error.Set("detail", Text(Env(), result_.error.message));
    deferred_.Reject(error.Value());
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  const Napi::Promise::Deferred deferred_;
  const AttachRequest request_;
  AttachResult result_;
};

Napi::Value AttachJs(const Napi::CallbackInfo& info) {
  auto* worker = new AttachWorker(info.Env(), AttachRequestFromJs(info[0].As<Napi::Object>()));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

void KeepAllocatorSmallJs(const Napi::CallbackInfo&) { KeepAllocatorSmall(); }

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("readSegment", Napi::Function::New(env, ReadSegmentJs, "readSegment"));
  exports.Set("readSegmentHeader", Napi::Function::New(env, ReadSegmentHeaderJs, "readSegmentHeader"));
  exports.Set("setSegmentWish", Napi::Function::New(env, SetSegmentWishJs, "setSegmentWish"));
  exports.Set("symbolizeModule", Napi::Function::New(env, SymbolizeModuleJs, "symbolizeModule"));
  exports.Set("attach", Napi::Function::New(env, AttachJs, "attach"));
  exports.Set("inspectExecutable", Napi::Function::New(env, InspectExecutableJs, "inspectExecutable"));
  exports.Set("keepAllocatorSmall", Napi::Function::New(env, KeepAllocatorSmallJs, "keepAllocatorSmall"));
  return exports;
}

}  // namespace

NODE_API_MODULE(cgoprof, Init)

}  // namespace cgoprof
