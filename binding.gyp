# The addon: what loads into Node. What must not link Node (preload library, native tests) is native/CMakeLists.txt's.
{
  "targets": [
    {
      "target_name": "cgoprof",
      "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all"],
      "defines": ["NAPI_VERSION=8"],
      "include_dirs": ["native"],
      "sources": [
        "native/addon/attach_library.cc",
        "native/addon/attach_target.cc",
        "native/addon/binding.cc",
        "native/addon/borrowed_thread.cc",
        "native/addon/debug_file.cc",
        "native/addon/demangle.cc",
        "native/addon/dwarf_lines.cc",
        "native/addon/dwarf_names.cc",
        "native/addon/elf_file.cc",
        "native/addon/executable_info.cc",
        "native/addon/go_module.cc",
        "native/addon/go_pclntab.cc",
        "native/addon/injector.cc",
        "native/addon/input_file.cc",
        "native/addon/memory_file.cc",
        "native/addon/memory_image.cc",
        "native/addon/native_symbols.cc",
        "native/addon/overwritten_library.cc",
        "native/addon/own_allocator.cc",
        "native/addon/remote_image.cc",
        "native/addon/remote_process.cc",
        "native/addon/safe_point.cc",
        "native/addon/safe_text.cc",
        "native/addon/seccomp_filter.cc",
        "native/addon/segment_reader.cc",
        "native/addon/segment_wish.cc",
        "native/addon/signal_frame.cc",
        "native/addon/symbol_table.cc",
        "native/addon/symbolizer.cc",
        "native/addon/traced_thread.cc"
      ],
      "cflags_cc": ["-Wall", "-Wextra", "-fvisibility=hidden"],
      # The archive's names stay inside, where no other addon's can take their place.
      "ldflags": ["-Wl,--exclude-libs,ALL"],
      "libraries": ["-ldw", "-lelf", "-l:libiberty.a"]
    }
  ]
}
