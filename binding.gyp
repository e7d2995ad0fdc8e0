# The addon: what loads into Node. What must not link Node (preload library, native tests) is native/CMakeLists.txt's.
{
  "targets": [
    {
      "target_name": "cgoprof",
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all"],
      "defines": ["NAPI_VERSION=8"],
      "include_dirs": ["native"],
      "sources": [
        "native/addon/binding.cc",
        "native/addon/executable_info.cc",
        "native/addon/go_pclntab.cc",
        "native/addon/input_file.cc",
        "native/addon/safe_text.cc",
        "native/addon/segment_reader.cc",
        "native/addon/symbolizer.cc"
      ],
      "cflags_cc": ["-Wall", "-Wextra", "-fvisibility=hidden"],
      "libraries": ["-ldw", "-lelf", "-l:libiberty.a"]
    }
  ]
}
