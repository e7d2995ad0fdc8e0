// One module's addresses get their functions and lines, whatever compiled it.
#include "addon/symbolizer.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "symbolizer_fixtures.h"

namespace cgoprof {
namespace {

class InlinedFixture : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Compilers, InlinedFixture,
                         testing::Values("inlined-gcc-dwarf4.so", "inlined-gcc-dwarf5.so", "inlined-clang-dwarf4.so",
                                         "inlined-clang-dwarf5.so"));

TEST_P(InlinedFixture, HasEveryLineOfTheChain) {
  const fs::path file = kFixtures / GetParam();
  SKIP_WITHOUT(file);
  // Neither ordered nor unique.
  const std::vector<uint64_t> addresses = {AddressOf(file, "outer"), AddressOf(file, "inlined"),
                                           AddressOf(file, "local"), AddressOf(file, "inlined")};
  const SymbolizeResult result = Symbolize(file, addresses);
  EXPECT_EQ(result.warning, "");
  EXPECT_EQ(result.file, file);
  EXPECT_EQ(result.is_go, std::vector<uint8_t>(4, 0));
  ASSERT_EQ(result.lines.size(), 4u);
  EXPECT_EQ(Lines(result.lines[0]), (std::vector<Line>{At("outermost", "inlined.c", "outer")}));
  EXPECT_EQ(Lines(result.lines[1]), InlinedChain());
  EXPECT_EQ(Lines(result.lines[2]), (std::vector<Line>{At("local_function", "inlined.c", "local")}));
  EXPECT_EQ(Lines(result.lines[3]), InlinedChain());
  ASSERT_EQ(result.lines[1].size(), 3u);
  EXPECT_EQ(result.lines[1][0].start_line, LineOf("inlined.c", "inlined") - 1);
  EXPECT_EQ(result.lines[1][2].start_line, LineOf("inlined.c", "outermost") - 1);
  EXPECT_EQ(result.lines[1][2].system_name, "outermost");
}

class NamesFixture : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    file_ = kFixtures / GetParam();
    SKIP_WITHOUT(file_);
  }

  std::vector<SourceLine> LookUp(const std::string& name) const {
    return Symbolize(file_, {AddressOf(file_, name)}).lines[0];
  }

  // GCC records no linkage name, and so no parameters, for what other files cannot call.
  std::string HiddenName(const std::string& name, const std::string& parameters) const {
    const bool is_clang = file_.string().find("clang") != std::string::npos;
    return "shop::(anonymous namespace)::" + name + (is_clang ? parameters : "");
  }

  fs::path file_;
};

INSTANTIATE_TEST_SUITE_P(Compilers, NamesFixture, testing::Values("names-gcc.so", "names-clang.so"));

TEST_P(NamesFixture, DemanglesTemplatesWithTheirParameters) {
  const std::vector<SourceLine> lines = LookUp("template");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].name, "shop::Basket<int>::Grow(std::vector<int, std::allocator<int> > const&, int)");
  EXPECT_EQ(lines[0].system_name, "_ZN4shop6BasketIiE4GrowERKSt6vectorIiSaIiEEi");
  EXPECT_EQ(lines[0].line, LineOf("names.cc", "template"));
}

TEST_P(NamesFixture, QualifiesWhatHasNoLinkageName) {
  EXPECT_EQ(Lines(LookUp("anonymous")),
            (std::vector<Line>{At(HiddenName("Hidden", "(int)"), "names.cc", "anonymous")}));
  EXPECT_EQ(Lines(LookUp("hidden_class")),
            (std::vector<Line>{At(HiddenName("Drawer::Open", "()"), "names.cc", "hidden_class")}));
  const std::vector<SourceLine> inlined = LookUp("hidden_inlined");
  ASSERT_EQ(inlined.size(), 2u);
  EXPECT_EQ(inlined[0].name, HiddenName("HiddenInlined", "()"));
  EXPECT_EQ(inlined[1].name.substr(0, 11), "shop::Open(");
  EXPECT_EQ(inlined[1].line, LineOf("names.cc", "open"));
}

TEST_P(NamesFixture, KeepsNamesOfTheSource) {
  EXPECT_EQ(Lines(LookUp("extern_c")), (std::vector<Line>{At("plain_c", "names.cc", "extern_c")}));
  const std::vector<SourceLine> labelled = LookUp("asm_label");
  ASSERT_EQ(labelled.size(), 1u);
  EXPECT_EQ(labelled[0].name, "source_name");
  EXPECT_EQ(labelled[0].system_name, "linkage_name");
}

class RustFixture : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Manglings, RustFixture, testing::Values("rust-default.so", "rust-v0.so"));

TEST_P(RustFixture, Demangles) {
  const fs::path file = kFixtures / GetParam();
  SKIP_WITHOUT(file);
  const std::vector<SourceLine> lines = Symbolize(file, {AddressOf(file, "rust")}).lines[0];
  ASSERT_EQ(lines.size(), 2u);
  // The older mangling, which the compiler may prefer, knows no type arguments.
  const bool is_v0 = lines[1].system_name.rfind("_R", 0) == 0;
  EXPECT_EQ(Lines(lines), (std::vector<Line>{
                              At("fixture::pool::touch", "fixture.rs", "rust"),
                              At(is_v0 ? "fixture::pool::grow::<u32>" : "fixture::pool::grow", "fixture.rs", "grow")}));
}

TEST(Symbolizer, FindsFunctionsWithinFunctions) {
  const fs::path file = kFixtures / "nested.so";
  EXPECT_EQ(Lines(Symbolize(file, {AddressOf(file, "nested")}).lines[0]),
            (std::vector<Line>{At("nested", "nested.c", "nested")}));
}

TEST(Symbolizer, AssemblyHasItsSymbolAndItsLine) {
  const fs::path file = kFixtures / "assembly.so";
  EXPECT_EQ(Lines(Symbolize(file, {AddressOf(file, "assembly")}).lines[0]),
            (std::vector<Line>{At("assembly_function", "assembly.s", "assembly")}));
}

TEST(Symbolizer, AFunctionGoesBeforeTheObjectFileItIsTheFirstOf) {
  const fs::path file = kFixtures / "assembly.so";
  EXPECT_EQ(Lines(Symbolize(file, {AddressOf(file, "first")}).lines[0]),
            (std::vector<Line>{At("_first_function", "assembly.s", "first")}));
}

TEST(Symbolizer, CallsOnSeveralThreadsDoNotDisturbEachOther) {
  const std::vector<std::string> names = {"inlined-gcc-dwarf5.so", "inlined-gcc-dwarf4.so", "inlined-gcc-dwarf5.so"};
  std::vector<SymbolizeResult> results(names.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < names.size(); ++i) {
    threads.emplace_back([&results, &names, i] {
      const fs::path file = kFixtures / names[i];
      results[i] = Symbolize(file, {AddressOf(file, "inlined")});
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const SymbolizeResult& result : results) EXPECT_EQ(Lines(result.lines[0]), InlinedChain());
}

}  // namespace
}  // namespace cgoprof
