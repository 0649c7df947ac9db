/*
 * QuillPress, a previewer of newsletters. It leaks: every page it renders goes
 * into a cache, and nothing takes a page out again.
 */
#include "win.h"
IMPORTED void Sleep(ULONG);
IMPORTED PVOID RtlAllocateHeap(PVOID, ULONG, SIZE_T);
IMPORTED ULONG WaitForSingleObjectEx(HANDLE, ULONG, BOOL);

enum PageState { PageEmpty, PageRendered, PageCached, PageEvicted };

struct RenderedPage {
    struct RenderedPage *next;
    ULONG magic, issue, page;
    enum PageState state;
    ULONG64 bytes;
    char note[80];
};

struct PageCache {
    struct RenderedPage *newest;
    ULONG64 pages, bytes;
    ULONG64 evictions;
    ULONG limit;
};

struct PageCache PreviewCache = {(struct RenderedPage *)1, 1, 1, 0, 64};
PVOID QuillHeap = (PVOID)1;

NOINLINE struct RenderedPage *CacheRenderedPage(struct PageCache *cache, ULONG issue, ULONG page, ULONG64 bytes)
{
    struct RenderedPage *entry = RtlAllocateHeap(QuillHeap, 0, sizeof *entry + bytes);
    entry->next = cache->newest;
    entry->magic = 0x4c495551;
    entry->issue = issue;
    entry->page = page;
    entry->state = PageCached;
    entry->bytes = bytes;
    cache->newest = entry;
    cache->pages++;
    cache->bytes += bytes;
    /* Meant to evict beyond cache->limit; the count was never looked at. */
    Sleep(15);
    return entry;
}

NOINLINE ULONG RenderPage(ULONG issue, ULONG page)
{
    ULONG lines[12] = {issue, page};
    struct RenderedPage *entry = CacheRenderedPage(&PreviewCache, issue, page, 65536);
    return lines[0] + (ULONG)entry->bytes + lines[1];
}

NOINLINE ULONG RenderIssue(ULONG issue, ULONG pages)
{
    ULONG sum = 0;
    for (ULONG page = 1; page <= pages; page++) sum += RenderPage(issue, page);
    return sum;
}

NOINLINE ULONG PreviewThread(PVOID first)
{
    ULONG64 issue = (ULONG64)first;
    ULONG sum = 0;
    while (!PreviewCache.evictions) sum += RenderIssue((ULONG)issue++, 24);
    return sum;
}

NOINLINE ULONG WindowThread(PVOID event)
{
    ULONG messages = 0;
    while (WaitForSingleObjectEx(event, ~0u, 0) == 0) messages++;
    return messages;
}

NOINLINE ULONG mainCRTStartup(PVOID peb)
{
    HANDLE done = (HANDLE)0x48;
    ULONG r = WaitForSingleObjectEx(done, ~0u, 0);
    return r + (peb != 0);
}
