// See bucket_table.h.
#include "preload/bucket_table.h"

#include <string.h>

namespace cgoprof {
namespace {

// Random odd numbers, one for each place in a stack.
struct Multipliers {
  constexpr Multipliers() {
    for (uint32_t i = 0; i < kMaxStackDepth; i++) {
      uint64_t z = (i + 1) * 0x9E3779B97F4A7C15ull;  // splitmix64
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
      at[i] = (z ^ (z >> 31)) | 1;
    }
  }
  uint64_t at[kMaxStackDepth] = {};
};
constexpr Multipliers kMultipliers;

// Multilinear: the top half of the sum of each frame word times a random number. Unlike a hash that mixes one word into
// what came of those before it (mprof.go's add-shift-xor), its multiplications do not wait for each other.
uint32_t HashKey(const Stack& stack, uint32_t size_class) {
  uint64_t sum = (size_class + (uint64_t{stack.flags} << 16)) * 0x9FB21C651E98DF25ull;
  for (uint32_t i = 0; i < stack.depth; i++) sum += stack.frames[i] * kMultipliers.at[i];
  return static_cast<uint32_t>(sum >> 32);
}

}  // namespace

bool BucketTable::Matches(const Bucket& bucket, const Key& key) const {
  const Stack& stack = *key.stack;
  return bucket.hash == key.hash && bucket.size_class == key.size_class && bucket.depth == stack.depth &&
         bucket.flags == stack.flags && bucket.kind == kBucketHeap &&
         memcmp(segment_->At<uint64_t>(kStacks, bucket.stack), stack.frames, stack.depth * sizeof(uint64_t)) == 0;
}

// Walks a chain from `first` up to, but without, `end`.
uint32_t BucketTable::Search(uint32_t first, uint32_t end, const Key& key) const {
  for (uint32_t i = first; i != end && i != 0;) {
    const Bucket* bucket = At(i - 1);
    if (Matches(*bucket, key)) return i - 1;
    i = bucket->next;
  }
  return kNone;
}

Bucket* BucketTable::Make(const Key& key, uint32_t* index) {
  const Stack& stack = *key.stack;
  const uint64_t words = segment_->Allocate(kStacks, stack.depth);
  if (words == kNoRecord) return nullptr;
  const uint64_t record = segment_->Allocate(kBuckets, 1);
  if (record == kNoRecord) return nullptr;
  memcpy(segment_->At<uint64_t>(kStacks, words), stack.frames, stack.depth * sizeof(uint64_t));
  *index = static_cast<uint32_t>(record);
  Bucket* bucket = At(*index);
  bucket->hash = key.hash;
  bucket->stack = static_cast<uint32_t>(words);
  bucket->depth = static_cast<uint16_t>(stack.depth);
  bucket->kind = kBucketHeap;
  bucket->flags = stack.flags;
  bucket->size_class = key.size_class;
  return bucket;
}

uint32_t BucketTable::Find(const Stack& stack, uint64_t size) {
  Key key;
  key.stack = &stack;
  key.size_class = SizeClass(size);
  key.hash = HashKey(stack, key.size_class);
  uint32_t* head = segment_->At<uint32_t>(kBucketHeads, key.hash & head_mask_);
  uint32_t first = __atomic_load_n(head, __ATOMIC_ACQUIRE);
  uint32_t found = Search(first, 0, key);
  if (found != kNone) return found;

  uint32_t index = 0;
  Bucket* bucket = Make(key, &index);
  if (bucket == nullptr) return kNone;
  // Before others can find it: what they count must be seen even if this thread never comes back. Readers do not follow
  // `next`, and pass over a bucket that never counted anything.
  __atomic_store_n(&bucket->published, 1, __ATOMIC_RELEASE);
  while (true) {
    bucket->next = first;
    const uint32_t searched = first;
    if (__atomic_compare_exchange_n(head, &first, index + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) break;
    // Others were faster; only what they put in front is new to us.
    found = Search(first, searched, key);
    if (found != kNone) return found;
  }
  return index;
}

void BucketTable::ReserveWithoutStack() {
  Stack none;
  none.depth = 0;
  none.flags = 0;
  for (uint32_t i = 0; i < kDoublings; i++) without_stack_[i] = Find(none, uint64_t{1} << i);
}

namespace {

__extension__ typedef unsigned __int128 Pair;

Pair PairOf(uint64_t blocks, uint64_t bytes) { return Pair{bytes} << 64 | blocks; }

// One locked instruction, where a counter each, and two that say whether a change is under way, take four.
void Book(BlockCount* count, uint64_t size) {
  uint64_t blocks = __atomic_load_n(&count->blocks, __ATOMIC_RELAXED);
  uint64_t bytes = __atomic_load_n(&count->bytes, __ATOMIC_RELAXED);
  // What was read may be torn; then it is not what the swap finds.
  while (true) {
    const Pair expected = PairOf(blocks, bytes);
    const Pair found =
        __sync_val_compare_and_swap(reinterpret_cast<Pair*>(count), expected, PairOf(blocks + 1, bytes + size));
    if (found == expected) return;
    blocks = static_cast<uint64_t>(found);
    bytes = static_cast<uint64_t>(found >> 64);
  }
}

}  // namespace

void BucketTable::AddAlloc(uint32_t index, uint64_t size) { Book(&At(index)->allocs, size); }

void BucketTable::AddFree(uint32_t index, uint64_t size) { Book(&At(index)->frees, size); }

}  // namespace cgoprof
